"""Looking at a model from outside: a batch goes in, plain numbers come out, and nothing is left behind.

Axes: B rows, L queries, S keys, H query heads.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ablations.analysis import context, gradients, heads, projections, scores
from ablations.analysis.sites import key_stack, query_stack, sites, text
from data.batch import BOS, EOS, PAD, Batch

PARTS = ("scores", "projections", "heads", "gradients", "context", "maps")
MAP_LENGTH = 24  # positions of a map: more do not fit a picture
DIGITS = 5  # significant ones


def observe(
    model: nn.Module, batch: Batch, parts: tuple[str, ...] | list[str], *, specials: tuple[int, ...] = (BOS, EOS)
) -> dict[str, Any]:
    """What `parts` of PARTS say of a model on a batch, on the model's device: dictionaries, lists, numbers for JSON.

    scores, projections, heads, gradients: site -> measure -> a list per head, or a number; gradients only where roles
    share a learned map. context: {"layers": stack -> measure -> list over layers, "order": {...}}. maps: {"weights":
    site -> [H, L, S] of the batch's first row up to MAP_LENGTH positions, "ids": stack -> its tokens}. A site is called
    "encoder.0.self" or "decoder.1.cross". Formulas stand with the functions; what has no value is None; of a model with
    weights that are not finite every part is empty.

    Model, gradients, modes and random streams stay as they are. float32, no dropout. Raises ValueError for a part that
    does not exist.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise ValueError(f"there is no analysis {unknown[0]!r}: choose from {', '.join(PARTS)}")
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        return {part: {} for part in parts}
    found: dict[str, Any] = {}
    with untouched(model):
        if {"scores", "heads", "maps"} & set(parts):
            found |= _by_site(model, batch, parts, specials)
        if "projections" in parts:
            found["projections"] = {name: projections.describe(site) for name, site in sites(model).items()}
        if "gradients" in parts:
            per_site = gradients.parts(model, batch)
            found["gradients"] = {name: gradients.describe(of_roles) for name, of_roles in per_site.items()}
        if "context" in parts:
            layers = context.by_layer(model, batch, (PAD, *specials))
            found["context"] = {"layers": layers, "order": context.order_sensitivity(model, batch, (PAD, *specials))}
    return {part: plain(found[part]) for part in PARTS if part in found}


def _by_site(
    model: nn.Module, batch: Batch, parts: tuple[str, ...] | list[str], specials: tuple[int, ...]
) -> dict[str, Any]:
    """The parts that look at attention weights, site by site, so that only one site's weights are held at a time."""
    found: dict[str, Any] = {part: {} for part in ("scores", "heads", "maps") if part in parts}
    texts, named = text(batch), sites(model)
    effects = heads.importance(model, batch) if "heads" in parts else {}
    for name, (args, kwargs) in inputs_of_sites(model, batch).items():
        attention = named[name]
        look = attention.look(*args, **kwargs)
        (queries, real_L), (keys, real_S) = texts[query_stack(name)], texts[key_stack(name)]
        own = name.endswith(".self")
        allowed = (look.allowed & real_L[:, None, :, None] & real_S[:, None, None, :]).expand(look.weights_BHLS.shape)
        if "scores" in parts:
            found["scores"][name] = _scores(look, allowed, real_L, own)
        if "heads" in parts:
            shares = heads.roles(look.weights_BHLS, allowed, queries, keys, specials, own)
            found["heads"][name] = {
                "disagreement": heads.disagreements(look, attention, real_L),
                "roles": shares,
                "kind": (kinds := heads.kinds(shares)),
                "specialised": sum(kind != "mixed" for kind in kinds) / len(kinds),
                "importance": effects[name],
            }
        if "maps" in parts:
            L, S = (min(int(real[0].sum()), MAP_LENGTH) for real in (real_L, real_S))
            found["maps"][name] = [
                [[round(weight, 3) for weight in row] for row in head]
                for head in look.weights_BHLS[0, :, :L, :S].tolist()
            ]
    if "maps" in parts:
        ids = {stack: tokens[0, real[0]][:MAP_LENGTH].tolist() for stack, (tokens, real) in texts.items()}
        found["maps"] = {"weights": found["maps"], "ids": ids}
    return found


def _scores(look: Any, allowed: Tensor, real: Tensor, own: bool) -> dict[str, Tensor]:
    S, A = look.scores_BHLS, look.weights_BHLS
    measures = {
        "entropy": scores.entropy(A, allowed),
        "normalised_entropy": scores.normalised_entropy(A, allowed),
        "spread": scores.spread(S, allowed),
    }
    if own:
        measures |= {
            "symmetry": scores.symmetry(S, real),
            "asymmetry": scores.asymmetry(A, allowed),
            "own_position": scores.own_position(A, allowed),
        }
    return measures


def inputs_of_sites(model: nn.Module, batch: Batch) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Site -> the arguments its attention was called with in one pass of the batch."""
    seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def keep(name: str) -> Any:
        return lambda _, args, kwargs: seen.__setitem__(name, (args, kwargs))

    handles = [site.register_forward_pre_hook(keep(name), with_kwargs=True) for name, site in sites(model).items()]
    try:
        model(**batch.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return seen


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation without gradients or autocast; afterwards modes and torch's random streams are as before."""
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    streams = torch.random.fork_rng([device] if device.type == "cuda" else [])
    try:
        with streams, torch.no_grad(), torch.autocast(device.type, enabled=False):
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def plain(value: Any) -> Any:
    """Tensors as lists, numbers to DIGITS significant digits, None for what is not finite."""
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
