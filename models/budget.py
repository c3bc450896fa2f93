"""What a model costs, by arithmetic on its configuration alone: parameters, FLOPs, cache.

Tests hold every figure against the model itself. Letters: C model width, D head width, H query heads, F feed-forward
width, V vocabulary, n context.
"""

from dataclasses import dataclass

from models.config import ModelConfig, PositionConfig, SitesConfig
from models.projections.config import ProjectionConfig
from models.projections.cost import Cost, cost


@dataclass(frozen=True)
class Budget:
    """Costs of one model. Numbers, not bytes: the width of a number is the device's affair."""

    parameters: int  # all of them, embeddings included
    projection_parameters: int  # query, key and value maps of all sites, with biases and per-role diagonals
    projection_d2: float  # weights of these maps without biases, mean over sites, in units of d_model squared
    # A forward pass, per target token (a translator: with as many source tokens, the encoder's work included). A
    # product and a sum are two; every query meets all `context` keys, also where a causal mask hides half of them;
    # embeddings, norms, activations, softmax and biases are left out. Training costs three times as much.
    flops_per_token: int
    cache_numbers_per_token: int  # what decoding remembers of each token it has produced
    cache_numbers_per_source_token: int  # what a translator's decoder remembers of each source token


def budget(
    model: ModelConfig,
    sites: SitesConfig,
    position: PositionConfig,
    kind: str,
    vocabulary: int,
    max_length: int,
    context: int,
) -> Budget:
    """The costs of a "language_modeling" or "translation" model; attention sees `context` tokens on either side."""
    assert kind in ("language_modeling", "translation"), kind
    C, D, H = model.d_model, model.width_of_head, model.heads
    translation = kind == "translation"
    encoder, decoder, cross = (_cost(site, model) for site in (sites.encoder, sites.decoder, sites.cross))
    encoder_layers = model.encoder_layers if translation else 0
    cross_layers = model.decoder_layers if translation else 0
    per_site = [encoder] * encoder_layers + [decoder] * model.decoder_layers + [cross] * cross_layers

    norm = C * (1 + model.bias)
    out = H * D * C + C * model.bias
    feed_forward = 2 * C * model.d_ff + (model.d_ff + C) * model.bias
    layers = encoder_layers + model.decoder_layers
    projections = sum(site.weights + site.biases for site in per_site)
    positions = (position.max_length or max_length) * C if position.kind == "learned" else 0
    embeddings = 2 if translation and not model.tied_embeddings else 1
    parameters = embeddings * (vocabulary * C + positions) + (0 if model.tied_embeddings else vocabulary * C)
    parameters += projections + len(per_site) * (norm + out) + layers * (norm + feed_forward)
    if model.norm == "pre":
        parameters += norm * (1 + translation)

    attention_flops = 4 * context * H * D  # q k^T, then weights times v
    flops = encoder_layers * encoder.joint_flops + model.decoder_layers * decoder.joint_flops
    flops += cross_layers * (cross.query_flops + cross.memory_flops)
    flops += len(per_site) * (attention_flops + 2 * H * D * C) + layers * 4 * C * model.d_ff + 2 * C * vocabulary
    return Budget(
        parameters=parameters,
        projection_parameters=projections,
        projection_d2=sum(site.weights for site in per_site) / len(per_site) / C**2,
        flops_per_token=flops,
        cache_numbers_per_token=model.decoder_layers * decoder.memory_width,
        cache_numbers_per_source_token=cross_layers * cross.memory_width,
    )


def _cost(site: ProjectionConfig, model: ModelConfig) -> Cost:
    return cost(site, model.d_model, model.heads, model.width_of_head, model.bias)
