"""Small attention sites in float64 for the exact checks: the project's own modules, so that these are tested too.

Axes: B batch, H heads, L queries, S keys, C model width, D head width. A strategy is named as on the command line.
"""

from functools import cache

import torch
from torch import Tensor

from ablations.compose import compose
from models.attention import SelfAttention
from models.config import PositionConfig
from models.init import initialise
from models.positions import rotation
from models.projections.config import ProjectionConfig

EQUAL = 1e-12  # two float64 results of the same mathematics differ by no more, at the sizes used here


@cache
def strategy(choice: str) -> ProjectionConfig:
    """As its file states it: `strategy("projection=shared")`."""
    return compose([choice]).projection


def site(
    config: ProjectionConfig,
    d_model: int,
    heads: int,
    head_dim: int | None = None,
    rotary: bool = False,
    seed: int = 0,
) -> SelfAttention:
    """A self-attention site in float64 without biases, with the initial weights that training starts from (Xavier)."""
    width = head_dim or d_model // heads
    rotate = rotation(PositionConfig(kind="rotary"), width) if rotary else None
    made = SelfAttention(config, d_model, heads, width, bias=False, rotate=rotate).double()
    initialise(made, seed, "xavier", layers=1)
    return made.eval()


def vectors(*shape: int, seed: int = 1) -> Tensor:
    """Independent standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gap(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference."""
    return (a - b).abs().max().item()


def between_heads(weights_BHLS: Tensor) -> float:
    """The largest difference between an attention weight of any head and the same weight of the first head."""
    return gap(weights_BHLS, weights_BHLS[:, :1].expand_as(weights_BHLS))


def size(error: float) -> str:
    """A difference in words: what lies at the rounding of float64 depends on the machine and is not spelled out."""
    return "0 (below 1e-12)" if error <= EQUAL else f"{error:.2g}"
