"""What a model costs, by arithmetic on its configuration alone: parameters, FLOPs, cache.

Tests hold every figure against the model itself. C is the model's width.
"""

from dataclasses import dataclass

from models.config import ModelConfig, PositionConfig, SitesConfig
from models.projections.config import ProjectionConfig
from models.projections.cost import Cost, cost

CLOSE = 0.005  # costs that differ by no larger share are held equal: layers grow by whole units


@dataclass(frozen=True)
class Budget:
    """Costs of one model. Numbers, not bytes: the width of a number is the device's affair."""

    parameters: int  # all of them, embeddings included
    projection_parameters: int  # query, key and value maps and scores of all sites, with biases and per-role diagonals
    projection_d2: float  # weights of these maps without biases, mean over sites, in units of d_model squared
    # A forward pass, per target token (a translator: with as many source tokens, the encoder's work included), or per
    # token of a sequence to classify. A
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
    classes: int = 0,
) -> Budget:
    """The costs of a model for a kind of task; attention sees `context` tokens on either side.

    `kind`: language_modeling, translation, or classification, of so many `classes`.
    """
    assert kind in ("language_modeling", "translation", "classification"), kind
    C = model.d_model
    translation = kind == "translation"
    encoder_layers = 0 if kind == "language_modeling" else model.encoder_layers
    decoder_layers = 0 if kind == "classification" else model.decoder_layers
    cross_layers = model.decoder_layers if translation else 0
    of_site = {"encoder": encoder_layers, "decoder": decoder_layers, "cross": cross_layers}
    # A site that the model does not have is not looked at: its strategy may mean nothing there.
    costs = {name: _cost(getattr(sites, name), model) for name, layers in of_site.items() if layers}
    per_site = [site for name, site in costs.items() for _ in range(of_site[name])]

    norm = C * (1 + model.bias)
    feed_forward = 2 * C * model.d_ff + (model.d_ff + C) * model.bias
    layers = encoder_layers + decoder_layers
    projections = sum(site.weights + site.biases for site in per_site)
    outputs = sum(site.output_weights + site.output_biases for site in per_site)
    positions = (position.max_length or max_length) * C if position.kind == "learned" else 0
    embeddings = 2 if translation and not model.tied_embeddings else 1
    parameters = embeddings * (vocabulary * C + positions)
    if kind == "classification":
        parameters += classes * (C + 1)
    elif not model.tied_embeddings:
        parameters += vocabulary * C
    parameters += projections + outputs + len(per_site) * norm + layers * (norm + feed_forward)
    if model.norm == "pre":
        parameters += norm * (1 + translation)

    flops = 0
    for name, site in costs.items():
        flops += of_site[name] * (site.query_flops + site.memory_flops if name == "cross" else site.joint_flops)
    flops += sum(context * site.pair_flops + 2 * site.output_weights for site in per_site)
    flops += layers * 4 * C * model.d_ff + (0 if kind == "classification" else 2 * C * vocabulary)
    return Budget(
        parameters=parameters,
        projection_parameters=projections,
        projection_d2=sum(site.weights for site in per_site) / len(per_site) / C**2,
        flops_per_token=flops,
        cache_numbers_per_token=decoder_layers * costs["decoder"].memory_width if decoder_layers else 0,
        cache_numbers_per_source_token=cross_layers * costs["cross"].memory_width if cross_layers else 0,
    )


def _cost(site: ProjectionConfig, model: ModelConfig) -> Cost:
    return cost(site, model.d_model, model.heads, model.width_of_head, model.bias)
