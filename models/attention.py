"""Attention over a pluggable projection and score.

Axes: B batch, L queries, S keys, C model width, H query heads, G key/value heads, D width of a key head, E of a
value head. Masks are boolean, True where a query may look; they broadcast to [B, H, L, S].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.cache import Cache
from models.dropout import Dropout, handed_in
from models.kernels.attention import dot_product_attention
from models.positions import Alibi, Rotary
from models.projections.config import ProjectionConfig
from models.projections.projection import Projection
from models.projections.score import Additive, DotProduct, for_all_heads, score, without_self
from models.tree import Tree

FEW = 512  # scores of a head: with fewer and no backward pass, as in decoding, products of batches are the fastest


@dataclass(frozen=True)
class Look:
    """What one pass of attention does inside, for those who observe it."""

    q_BHLD: Tensor  # as they meet: turned where positions turn them
    k_BGSD: Tensor
    v_BGSE: Tensor
    scores_BHLS: Tensor  # with the bias of positions, before masks
    allowed: Tensor  # broadcasts to [B, H, L, S]
    weights_BHLS: Tensor


class Attention(nn.Module):
    """softmax(score(q, k)) v, then the output map: project, remember, read, prepare, rotate, attend, out."""

    def __init__(
        self,
        config: ProjectionConfig,
        d_model: int,
        heads: int,
        head_dim: int,
        bias: bool,
        dropout: float = 0.0,
        rotate: Rotary | None = None,
        distance: Alibi | None = None,
    ):
        super().__init__()
        self.project = Projection(config, d_model, heads, head_dim, bias)
        sizes = self.project.sizes
        self.heads = sizes.heads
        self.score = score(config, sizes)
        self.rotate, self.distance = rotate, distance
        width = sizes.heads * sizes.value_head_dim
        self.out = nn.Linear(width, d_model, bias=bias) if config.output == "learned" else nn.Identity()
        self.no_self = False
        self.dropout = Dropout(dropout)

    def _attend_out(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, tree: Tree | None = None
    ) -> Tensor:
        if tree is not None:
            mask, causal = tree.seen_BKS[:, None], False
        if self.no_self or self.distance is not None:
            mask, causal = self._mask(mask, causal, q.shape[2], k.shape[2], q.device, tree), False
        y_BHLE = attend(self.score, q, k, v, mask, causal, self.dropout)
        return self.out(y_BHLE.transpose(1, 2).flatten(2))

    def _allowed(self, mask: Tensor | None, causal: bool, L: int, S: int, device: torch.device) -> Tensor:
        if mask is None:
            mask = causal_mask(L, S, device) if causal else torch.ones(L, S, dtype=torch.bool, device=device)
        return without_self(mask.expand(*mask.shape[:-2], L, S)) if self.no_self else mask

    def _mask(
        self, mask: Tensor | None, causal: bool, L: int, S: int, device: torch.device, tree: Tree | None = None
    ) -> Tensor:
        """All that keeps a query from keys, in one: boolean, or numbers to add to the scores."""
        allowed = self._allowed(mask, causal, L, S, device)
        if self.distance is None:
            return allowed
        bias = self.distance(L, S, device) if tree is None else self.distance(L, S, device, tree.positions_BS)
        # Four axes: torch's cuDNN attention takes a bias of three for [B, L, S].
        return torch.where(allowed, bias if bias.ndim == 4 else bias[None], -torch.inf)

    def _look(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Look:
        L, S = q.shape[2], k.shape[2]
        scores = self.score(q, k)
        if self.distance is not None:
            scores = scores + self.distance(L, S, q.device)
        allowed = self._allowed(mask, causal, L, S, q.device)
        return Look(q, k, v, scores, allowed, scores.masked_fill(~allowed, -torch.inf).softmax(-1))


class SelfAttention(Attention):
    """Queries, keys and values from one sequence."""

    def __init__(self, config: ProjectionConfig, *sizes, **parts):
        super().__init__(config, *sizes, **parts)
        self.no_self = config.no_self  # between two sequences nobody meets himself

    def forward(self, x_BLC: Tensor, mask: Tensor | None, causal: bool, cache: Cache | None = None) -> Tensor:
        """[B, L, C] to [B, L, C]; with a cache, x continues what it holds: a sequence, or leaves of a tree."""
        tree = None if cache is None else cache.tree
        return self._attend_out(*self._vectors(x_BLC, cache), mask, causal, tree)

    def look(self, x_BLC: Tensor, mask: Tensor | None, causal: bool, cache: Cache | None = None) -> Look:
        """What `forward` does inside, without dropout."""
        return self._look(*self._vectors(x_BLC, cache), mask, causal)

    def _vectors(self, x_BLC: Tensor, cache: Cache | None) -> tuple[Tensor, Tensor, Tensor]:
        start = 0 if cache is None else len(cache)
        q, memory = self.project(x_BLC, x_BLC)
        if cache is not None:
            memory = cache.append(memory)
        k, v = self.project.read(memory)
        q, k = self.score.prepare(q, k)
        if self.rotate is not None:
            if cache is None or cache.tree is None:
                q, k = self.rotate(q, start), self.rotate(k, 0)
            else:
                positions_B1S = cache.tree.positions_BS[:, None]
                q, k = self.rotate(q, positions_B1S[..., -1:]), self.rotate(k, positions_B1S)
        return q, k, v


class CrossAttention(Attention):
    """Queries from one sequence, keys and values from another. Positions of the two are not comparable: no rotation."""

    def forward(self, x_BLC: Tensor, states_BSC: Tensor, mask: Tensor | None, cache: Cache | None = None) -> Tensor:
        """[B, L, C] attends to [B, S, C]; the cache keeps what is remembered of the states."""
        return self._attend_out(*self._vectors(x_BLC, states_BSC, cache), mask, causal=False)

    def look(self, x_BLC: Tensor, states_BSC: Tensor, mask: Tensor | None, cache: Cache | None = None) -> Look:
        """What `forward` does inside, without dropout."""
        return self._look(*self._vectors(x_BLC, states_BSC, cache), mask, causal=False)

    def _vectors(self, x_BLC: Tensor, states_BSC: Tensor, cache: Cache | None) -> tuple[Tensor, Tensor, Tensor]:
        if cache is None:
            q, memory = self.project(x_BLC, states_BSC)
        else:
            q, memory = self.project.query(x_BLC), cache.tensors or cache.append(self.project.memory(states_BSC))
        k, v = self.project.read(memory)
        q, k = self.score.prepare(q, k)
        return q, k, v


def attend(
    score: DotProduct | Additive,
    q_BHLD: Tensor,
    k_BGSD: Tensor,
    v_BGSE: Tensor,
    mask: Tensor | None,
    causal: bool,
    dropout: Dropout | None = None,
) -> Tensor:
    """Attention by the fastest way the device has. Causal: the last query sees the last key, whatever L and S.

    A mask is boolean, or numbers to add. Additive scores are no product, so no kernel knows them. On a CPU torch's
    fused kernel is the fastest in float32 without dropout for all but short sequences, and much the slowest in bfloat16
    (`python scripts/bench.py attention`).
    """
    assert mask is None or not causal, "a causal site has no mask of its own"
    L, S = q_BHLD.shape[2], k_BGSD.shape[2]
    if causal and (L == 1 or L != S):  # a single query is the last one and sees everything
        mask, causal = (None if L == 1 else causal_mask(L, S, q_BHLD.device)), False
    drops = dropout if dropout is not None and dropout.active else None
    if isinstance(score, Additive) or (handed_in() and q_BHLD.device.type != "cpu"):
        return attend_written_out(score, q_BHLD, k_BGSD, v_BGSE, mask, causal, dropout)
    q, k, v = (low_precision(tensor) for tensor in (q_BHLD, k_BGSD, v_BGSE))
    grouped = q.shape[1] != k.shape[1]
    few = L * S < FEW and not torch.is_grad_enabled()
    if q.device.type == "cpu" and (drops or handed_in() or grouped or few or q.dtype == torch.bfloat16):
        keep = drops.mask(torch.Size([*q.shape[:-1], S]), q.dtype) if drops else None
        mask = causal_mask(L, S, q.device) if causal else mask
        bias = to_add(mask, q.dtype) if mask is not None else None
        with torch.autocast("cpu", enabled=False):
            return dot_product_attention(q, k, v, bias, keep, score.scale)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    p = drops.p if drops else 0.0
    return F.scaled_dot_product_attention(q, k, v, mask, p, causal, scale=score.scale, enable_gqa=grouped)


def attend_written_out(
    score: DotProduct | Additive,
    q_BHLD: Tensor,
    k_BGSD: Tensor,
    v_BGSE: Tensor,
    mask: Tensor | None,
    causal: bool,
    dropout: Dropout | None = None,
) -> Tensor:
    """softmax(score(q, k)) v, written out."""
    scores_BHLS = score(q_BHLD, k_BGSD)
    mask = causal_mask(q_BHLD.shape[2], k_BGSD.shape[2], q_BHLD.device) if causal else mask
    if mask is not None:
        scores_BHLS = scores_BHLS + to_add(mask, scores_BHLS.dtype)
    weights_BHLS = scores_BHLS.softmax(-1)
    if dropout is not None:
        weights_BHLS = dropout(weights_BHLS)
    return weights_BHLS @ for_all_heads(v_BGSE, q_BHLD.shape[1])


def low_precision(tensor: Tensor) -> Tensor:
    """In the precision of autocast, where it is on: kernels of our own are not on its list."""
    device = tensor.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):  # meta knows no autocast
        return tensor
    return tensor.to(torch.get_autocast_dtype(device))


def to_add(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as numbers to add to scores: a boolean one is -inf where nobody may look."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def causal_mask(L: int, S: int, device: torch.device) -> Tensor:
    """[L, S], True where key s is not later than query l, both sequences ending together."""
    return torch.ones(L, S, dtype=torch.bool, device=device).tril(S - L)
