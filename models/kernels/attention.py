"""Attention on a CPU as products of batches, with a backward pass of its own.

Axes: B batch, L queries, S keys, H query heads, G key/value heads, R = H / G, D width of a key head, E of a value head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LANES = 16  # numbers that the CPU takes at a time


def dot_product_attention(
    q_BHLD: Tensor, k_BGSD: Tensor, v_BGSE: Tensor, bias: Tensor | None, keep: Tensor | None, scale: float
) -> Tensor:
    """keep * softmax(scale * q k^T + bias) v: [B, H, L, E].

    `bias` broadcasts to [B, H, L, S] and gets no gradient; `keep` [B, H, L, S] is what dropout multiplies weights by.
    """
    (B, H, L, D), G = q_BHLD.shape, k_BGSD.shape[1]
    q = q_BHLD.reshape(B * G, H // G * L, D)  # the query heads that share a key head are more queries of it
    k, v = k_BGSD.flatten(0, 1), v_BGSE.flatten(0, 1)
    return DotProductAttention.apply(q, k, v, bias, keep, scale, (H, L))[0].view(B, H, L, -1)


def softmax(scores: Tensor) -> Tensor:
    """Over the last axis. torch takes rows narrower than LANES number by number, five times slower than wide ones."""
    few = scores.shape[-1]
    if few >= LANES:
        return scores.softmax(-1)
    return F.pad(scores, (0, LANES - few), value=-torch.inf).softmax(-1)[..., :few].contiguous()


class DotProductAttention(torch.autograd.Function):
    """keep * softmax(scale * q k^T + bias) v for q [B * G, R * L, D], k [B * G, S, D], v [B * G, S, E].

    Left to autograd, the scale, the mask and dropout each cost a pass over all scores, in either direction, and every
    query head a copy of its keys and values.
    """

    @staticmethod
    def forward(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        keep: Tensor | None,
        scale: float,
        heads_and_queries: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """What is attended to [B * G, R * L, E], and the weights before dropout, for the backward pass."""
        scores = torch.baddbmm(q.new_empty(1), q, k.mT, beta=0, alpha=scale)
        if bias is not None:
            scores.view(-1, *heads_and_queries, k.shape[1]).add_(bias)
        weights = softmax(scores)
        return _dropped(weights, keep) @ v, weights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        """Keeps what the backward pass needs."""
        q, k, v, _, keep, ctx.scale, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(q, k, v, keep, output[1])

    @staticmethod
    def backward(ctx: Any, *outward: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v."""
        q, k, v, keep, weights = ctx.saved_tensors
        none = q.new_empty(1)
        of_v = _dropped(weights, keep).mT @ outward[0]
        of_weights = outward[0] @ v.mT
        if keep is not None:
            of_weights.mul_(keep.view_as(weights))
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_q = torch.baddbmm(none, of_scores, k, beta=0, alpha=ctx.scale)
        of_k = torch.baddbmm(none, of_scores.mT, q, beta=0, alpha=ctx.scale)
        return of_q, of_k, of_v, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        """Models side by side are a larger batch: nothing here has weights."""
        models = info.batch_size
        tensors = [_folded(tensor, dim, models) for tensor, dim in zip(inputs[:5], in_dims[:5], strict=True)]
        output = DotProductAttention.apply(*tensors, *inputs[5:])
        return tuple(tensor.unflatten(0, (models, -1)) for tensor in output), (0, 0)


def _dropped(weights: Tensor, keep: Tensor | None) -> Tensor:
    return weights if keep is None else weights * keep.view_as(weights)


def _folded(tensor: Tensor | None, dim: int | None, models: int) -> Tensor | None:
    """The axis of models as part of the first one, unless the tensor is one for all and broadcasts."""
    if tensor is None or (dim is None and (tensor.ndim == 2 or tensor.shape[0] == 1)):
        return tensor
    return (tensor.expand(models, *tensor.shape) if dim is None else tensor.movedim(dim, 0)).flatten(0, 1)
