"""Initial weights: one random generator per parameter name.

A variant with fewer matrices would shift every later draw of a single stream. Here a parameter's values follow from the
seed, its name and its shape alone, so two models of one seed start with all the weights they have in common.
"""

import hashlib
import math

import torch
from torch import Tensor, nn

from models.projections.projection import Projection
from models.projections.score import DotProduct


def initialise(model: nn.Module, seed: int, scheme: str, layers: int) -> None:
    """Fills every parameter in place, through the state dictionary, in which storage does not show.

    `scheme` xavier: Xavier-uniform matrices of their own fan (Glorot & Bengio 2010), embeddings of norm 1.
    `scheme` gpt2: normal of sd .02, and .02 / sqrt(2 layers) for maps that end a residual branch (Radford et al. 2019).
    """
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    for name, value in state.items():
        generator = torch.Generator().manual_seed(stream(seed, name))
        _fill(value, name, generator, scheme, layers)
    model.load_state_dict(state)
    for module in model.modules():
        if isinstance(module, Projection | DotProduct):
            module.settle()


def stream(seed: int, name: str) -> int:
    """A 63-bit seed for the named random stream of a run, the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]) >> 1


def _fill(value: Tensor, name: str, generator: torch.Generator, scheme: str, layers: int) -> None:
    leaf, parent = name.split(".")[-1], name.split(".")[-2] if "." in name else ""
    if parent in ("scale",) or (value.ndim == 1 and leaf == "weight"):  # per-role diagonals, LayerNorm
        value.fill_(1.0)
    elif value.ndim == 1:  # biases
        value.zero_()
    elif leaf == "up" and ".addition." in name:  # low-rank additions start at nothing (Hu et al. 2021)
        value.zero_()
    elif scheme == "gpt2" and leaf in ("down", "up"):  # factors: their product has sd .02
        value.normal_(0.0, math.sqrt(0.02 / math.sqrt(_rank(value, leaf))), generator=generator)
    elif scheme == "gpt2":
        ends_branch = name.endswith(("out.weight", "feed_forward.down.weight"))
        value.normal_(0.0, 0.02 / math.sqrt(2 * layers) if ends_branch else 0.02, generator=generator)
    elif parent in ("embedding", "source_embedding", "output", "position"):
        value.normal_(0.0, value.shape[-1] ** -0.5, generator=generator)
    elif leaf in ("down", "up"):  # factors: each keeps the variance of its input, as Xavier does for square matrices
        bound = math.sqrt(3 / value.shape[-1])
        value.uniform_(-bound, bound, generator=generator)
    else:  # [..., out, in]
        bound = math.sqrt(6 / (value.shape[-1] + value.shape[-2]))
        value.uniform_(-bound, bound, generator=generator)


def _rank(value: Tensor, leaf: str) -> int:
    # the bottleneck of a factor: rows of down [R, C], columns of up [N * D, R]
    return value.shape[0] if leaf == "down" else value.shape[1]
