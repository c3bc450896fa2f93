"""Scaled dot-product attention over a pluggable projection.

Axes: B batch, L queries, S keys, C model width, H query heads, G key/value heads, D head width.
Masks are boolean, True where a query may look; they broadcast to [B, H, L, S].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.cache import Cache
from models.projections.config import ProjectionConfig
from models.projections.projection import Projection


class Attention(nn.Module):
    """softmax(q k^T / sqrt(D)) v, then the output map: project, remember, read, rotate, attend, out."""

    def __init__(
        self,
        config: ProjectionConfig,
        d_model: int,
        heads: int,
        head_dim: int,
        bias: bool,
        dropout: float = 0.0,
        rotate: nn.Module | None = None,
    ):
        super().__init__()
        self.project = Projection(config, d_model, heads, head_dim, bias)
        self.rotate = rotate
        self.out = nn.Linear(heads * head_dim, d_model, bias=bias)
        self.dropout = dropout

    def _attend_out(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        y_BHLD = attend(q, k, v, mask, causal, self.dropout if self.training else 0.0)
        return self.out(y_BHLD.transpose(1, 2).flatten(2))


class SelfAttention(Attention):
    """Queries, keys and values from one sequence."""

    def forward(self, x_BLC: Tensor, mask: Tensor | None, causal: bool, cache: Cache | None = None) -> Tensor:
        """[B, L, C] to [B, L, C]; with a cache, x continues what the cache holds."""
        start = 0 if cache is None else len(cache)
        q, memory = self.project(x_BLC, x_BLC)
        if cache is not None:
            memory = cache.append(memory)
        k, v = self.project.read(memory)
        if self.rotate is not None:
            q, k = self.rotate(q, start), self.rotate(k, 0)
        return self._attend_out(q, k, v, mask, causal)


class CrossAttention(Attention):
    """Queries from one sequence, keys and values from another. Positions of the two are not comparable: no rotation."""

    def forward(self, x_BLC: Tensor, states_BSC: Tensor, mask: Tensor | None, cache: Cache | None = None) -> Tensor:
        """[B, L, C] attends to [B, S, C]; the cache keeps what is remembered of the states."""
        if cache is None:
            q, memory = self.project(x_BLC, states_BSC)
        else:
            q, memory = self.project.query(x_BLC), cache.tensors or cache.append(self.project.memory(states_BSC))
        k, v = self.project.read(memory)
        return self._attend_out(q, k, v, mask, causal=False)


def attend(
    q_BHLD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, mask: Tensor | None, causal: bool, dropout: float = 0.0
) -> Tensor:
    """Attention by the fastest way the device has. Causal: the last query sees the last key, whatever L and S.

    On CPU that is the definition itself: torch's fused kernel has so slow a bf16 backward there that a whole training
    step takes 1.5 times as long, and it gains nothing in fp32 (`python scripts/bench.py attention`).
    """
    assert mask is None or not causal, "a causal site has no mask of its own"
    L, S = q_BHLD.shape[2], k_BGSD.shape[2]
    if causal and (L == 1 or L != S):  # a single query is the last one and sees everything
        mask, causal = (None if L == 1 else causal_mask(L, S, q_BHLD.device)), False
    if q_BHLD.device.type == "cpu":
        return attend_written_out(q_BHLD, k_BGSD, v_BGSD, mask, causal, dropout)
    return F.scaled_dot_product_attention(
        q_BHLD, k_BGSD, v_BGSD, mask, dropout, causal, enable_gqa=q_BHLD.shape[1] != k_BGSD.shape[1]
    )


def attend_written_out(
    q_BHLD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, mask: Tensor | None, causal: bool, dropout: float = 0.0
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v, written out."""
    k_BHSD, v_BHSD = (t.repeat_interleave(q_BHLD.shape[1] // t.shape[1], dim=1) for t in (k_BGSD, v_BGSD))
    scores_BHLS = q_BHLD @ k_BHSD.mT * q_BHLD.shape[-1] ** -0.5
    allowed = causal_mask(q_BHLD.shape[2], k_BHSD.shape[2], q_BHLD.device) if causal else mask
    if allowed is not None:
        scores_BHLS = scores_BHLS.masked_fill(~allowed, -torch.inf)
    return F.dropout(scores_BHLS.softmax(-1), dropout) @ v_BHSD


def causal_mask(L: int, S: int, device: torch.device) -> Tensor:
    """[L, S], True where key s is not later than query l, both sequences ending together."""
    return torch.ones(L, S, dtype=torch.bool, device=device).tril(S - L)
