"""Cross-entropy over a vocabulary without ever holding all logits, its gradient included.

Axes: T tokens, t tokens of a chunk, C model width, V vocabulary. All tensors may have one more axis in front: that many
models side by side.
"""

from typing import Any

import torch
from torch import Tensor

# Logits held at once. CPU: 4 MB in float32, which stay in the cache; elsewhere half a gigabyte.
CHUNK = {"cpu": 2**20}
ELSEWHERE = 2**27


class CrossEntropy(torch.autograd.Function):
    """(sum of losses, sum of label-smoothed losses) over the targets that count; only the second has a gradient.

    Inputs: states [T, C], weight [V, C], bias [V] or None, targets [T] within the vocabulary, counts [T] 1.0 where a
    target counts, smoothing, the dtype of products, whether a gradient is wanted. It is worked out in the forward pass,
    while a chunk's logits are at hand. With L = logsumexp(z), z = W x + b, target y and smoothing s:

        loss     = L - z_y
        smoothed = (1 - s) loss + s (L - mean z)
        gradient = softmax(z) - (1 - s) onehot(y) - s / V      with respect to z

    The mean of z, and the last term's share, are products with the mean row of W: no pass over [T, V] for them.
    """

    @staticmethod
    def forward(
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        counts: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        with_gradient: bool,
    ) -> tuple[Tensor, ...]:
        """Loss and smoothed loss, and where a gradient is wanted those of states, weight and bias."""
        V, T = weight.shape[-2], states.shape[-2]
        models = weight.shape[0] if weight.ndim == 3 else 1
        rows = max(1, CHUNK.get(states.device.type, ELSEWHERE) // (V * models))
        sums = _Sums(states, weight, bias, smoothing, dtype, with_gradient)
        for start in range(0, T, rows):
            part = slice(start, start + rows)
            sums.add(part, targets[..., part, None], counts[..., part])
        return sums.result()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        """Keeps the gradients."""
        loss, _, *gradients = output
        ctx.mark_non_differentiable(loss, *gradients)
        ctx.save_for_backward(*gradients)

    @staticmethod
    def backward(ctx: Any, *outward: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the smoothed sum, times what comes from outside."""
        states, weight, *bias = ctx.saved_tensors
        factor = outward[1]
        along = factor[..., None, None]
        return (states * along, weight * along, bias[0] * factor[..., None] if bias else None, *[None] * 5)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Models side by side: one more axis in front of every tensor."""
        fronted = [_in_front(value, dim, info.batch_size) for value, dim in zip(inputs, in_dims, strict=True)]
        output = CrossEntropy.apply(*fronted)
        return output, (0,) * len(output)


class _Sums:
    """What the chunks add up to."""

    def __init__(
        self,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
        with_gradient: bool,
    ):
        self.states, self.weight, self.bias = states.to(dtype), weight.to(dtype), bias
        self.smoothing, self.with_gradient = smoothing, with_gradient
        self.mean_row = weight.mean(-2, keepdim=True)  # [1, C]
        self.mean_bias = 0.0 if bias is None else bias.mean(-1, keepdim=True)
        self.loss = torch.zeros(weight.shape[:-2], device=states.device)
        self.smoothed = torch.zeros_like(self.loss)
        if with_gradient:
            self.of_states = torch.empty_like(states)
            self.of_weight = torch.zeros_like(weight)
            self.of_bias = None if bias is None else torch.zeros_like(bias)

    def add(self, part: slice, targets_t1: Tensor, counts_t: Tensor) -> None:
        """One chunk of tokens."""
        s, x_tC = self.smoothing, self.states[..., part, :]
        z_tV = (x_tC @ self.weight.mT).float()
        if self.bias is not None:
            z_tV += self.bias[..., None, :]
        z_t = z_tV.gather(-1, targets_t1)[..., 0]
        log_p_tV = torch.log_softmax(z_tV, -1)
        loss_t = -log_p_tV.gather(-1, targets_t1)[..., 0]
        self.loss += (loss_t * counts_t).sum(-1)
        if s:
            mean_t = (x_tC.float() * self.mean_row).sum(-1) + self.mean_bias
            self.smoothed += (((1 - s) * loss_t + s * (loss_t + z_t - mean_t)) * counts_t).sum(-1)
        if self.with_gradient:
            outward_tV = log_p_tV.exp_().scatter_add_(-1, targets_t1, torch.full_like(z_t, s - 1.0)[..., None])
            self._add_gradient(part, outward_tV.to(x_tC.dtype), x_tC, counts_t[..., None])

    def _add_gradient(self, part: slice, outward_tV: Tensor, x_tC: Tensor, counts_t1: Tensor) -> None:
        s, V = self.smoothing, self.weight.shape[-2]
        counted_tC = x_tC * counts_t1.to(x_tC.dtype)
        torch.mul((outward_tV @ self.weight).float() - s * self.mean_row, counts_t1, out=self.of_states[..., part, :])
        self.of_weight += (outward_tV.mT @ counted_tC).float()
        if s:
            self.of_weight -= s / V * counted_tC.sum(-2, keepdim=True, dtype=torch.float32)
        if self.of_bias is not None:
            self.of_bias += (outward_tV * counts_t1).sum(-2) - s / V * counts_t1.sum(-2)

    def result(self) -> tuple[Tensor, ...]:
        """Loss, smoothed loss, gradients."""
        losses = (self.loss, self.smoothed if self.smoothing else self.loss.clone())
        if not self.with_gradient:
            return losses
        return (*losses, self.of_states, self.of_weight, *([] if self.of_bias is None else [self.of_bias]))


def _in_front(value: Any, dim: int | None, models: int) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.expand(models, *value.shape) if dim is None else value.movedim(dim, 0)
