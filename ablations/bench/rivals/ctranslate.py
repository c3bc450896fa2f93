"""Our translator inside CTranslate2: pre-norm layers, dense maps, sinusoidal positions.

https://github.com/OpenNMT/CTranslate2 (MIT).
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ablations.bench.rivals import extras
from ablations.config import RunConfig
from data.batch import BOS, EOS, UNK
from models.positions import angles
from models.transformer import Translator


def filled(model: Translator, config: RunConfig, folder: Path, device: str) -> Any:
    """CTranslate2's translator with our weights, in float32. Raises ValueError for a model that it cannot express."""
    ctranslate2, specs = import_module("ctranslate2"), import_module("ctranslate2.specs")

    m = config.model
    if not (m.norm == "pre" and m.tied_embeddings and config.position.kind == "sinusoidal"):
        raise ValueError(
            "CTranslate2 is filled from pre-norm, tied embeddings and sinusoidal positions: use such a run"
        )
    activation = specs.common_spec.Activation.GELU if m.activation == "gelu" else specs.common_spec.Activation.RELU
    spec = specs.TransformerSpec.from_config(
        (m.encoder_layers, m.decoder_layers), m.heads, pre_norm=True, activation=activation
    )
    embedding = _array(model.embedding.weight)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = embedding
    turns = angles(0, 2 * config.task.context, m.d_model, config.position.base, torch.device("cpu"))
    positions = _array(torch.cat([turns.sin(), turns.cos()], dim=-1)[:, : m.d_model])
    sides = ((spec.encoder, model.encoder, model.encoder_norm), (spec.decoder, model.decoder, model.norm))
    for side, blocks, last in sides:
        side.scale_embeddings = model.embedding.gain != 1
        side.position_encodings.encodings = positions
        _norm(side.layer_norm, last)
        for layer, block in zip(side.layer, blocks, strict=True):
            _layer(layer, block)
    words = [str(token) for token in range(len(embedding))]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = str(BOS), str(EOS), str(UNK)
    spec.config.decoder_start_token = str(BOS)
    spec.config.add_source_bos = spec.config.add_source_eos = False  # our sources end in eos
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return ctranslate2.Translator(
        str(folder), device=device, compute_type="float32", inter_threads=1, intra_threads=torch.get_num_threads()
    )


def search(translator: Any, sources: list[list[int]], beam: int, longest: int, batch: int) -> list[list[int]]:
    """Its translations, without eos; it sorts the sources by length itself."""
    found = translator.translate_batch(
        [[str(token) for token in row] for row in sources],
        beam_size=beam,
        length_penalty=1.0,
        max_decoding_length=longest,
        max_batch_size=batch,
        batch_type="examples",
    )
    return [[int(token) for token in one.hypotheses[0]] for one in found]


def _layer(layer: Any, block: Any) -> None:
    _norm(layer.self_attention.layer_norm, block.attention_norm)
    _attention(layer.self_attention.linear, block.attention, ("qkv",))
    if hasattr(block, "cross"):
        _norm(layer.attention.layer_norm, block.cross_norm)
        _attention(layer.attention.linear, block.cross, ("q", "kv"))
    _norm(layer.ffn.layer_norm, block.feed_forward_norm)
    _linear(layer.ffn.linear_0, block.feed_forward.up.state_dict())
    _linear(layer.ffn.linear_1, block.feed_forward.down.state_dict())


def _attention(linears: Any, site: nn.Module, products: tuple[str, ...]) -> None:
    """A tall matrix for the roles of each product, then the output map."""
    maps = extras.role_maps(site)
    for linear, roles in zip(linears, products, strict=False):
        kinds = ("weight", "bias") if "q.bias" in maps else ("weight",)
        _linear(linear, {kind: torch.cat([maps[f"{role}.{kind}"] for role in roles]) for kind in kinds})
    _linear(linears[-1], site.get_submodule("out").state_dict())


def _linear(spec: Any, state: dict[str, Tensor]) -> None:
    spec.weight = _array(state["weight"])
    if "bias" in state:
        spec.bias = _array(state["bias"])


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma = _array(norm.weight)
    spec.beta = _array(norm.bias if norm.bias is not None else torch.zeros_like(norm.weight))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().cpu().numpy()
