"""What is minimised: the negative log-likelihood of real targets, with label smoothing where it is asked for.

A negative target is none: it is not scored. C is the model's width, V its vocabulary or number of classes.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.kernels.cross_entropy import CHUNK, ELSEWHERE, CrossEntropy

SMALL = 4  # a vocabulary of up to so many times the width is no bigger than a feed-forward layer: nothing to gain


class Objective(nn.Module):
    """A model and its loss, as one module, so that whoever wraps a forward pass wraps the loss with it."""

    def __init__(self, model: nn.Module, smoothing: float = 0.0):
        super().__init__()
        self.model, self.smoothing = model, smoothing

    def forward(self, inputs: dict[str, Tensor], targets: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of a batch, summed over its real targets: plain, without a gradient, and smoothed, with one."""
        model = cast(Any, self.model)  # one of models/transformer.py
        states = model.states(**inputs)
        weight, bias = model.output_map
        return summed_losses(states, weight, bias, targets, self.smoothing)


def summed_losses(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of targets [...] given the states [..., C] that weight [V, C] turns into logits.

    Summed over real targets, plain and label-smoothed (Szegedy et al. 2016), in float32; only the smoothed sum has a
    gradient. All logits are never held at once. `losses_of_logits` says the same plainly.
    """
    if weight.shape[0] <= SMALL * weight.shape[1]:
        return losses_of_logits(F.linear(states, weight, bias), targets, smoothing)
    device, targets = states.device.type, targets.flatten()
    counts = (targets >= 0).float()
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    with torch.autocast(device, enabled=False):
        found = CrossEntropy.apply(
            states.flatten(0, -2), weight, bias, targets.clamp(min=0), counts, smoothing, dtype, torch.is_grad_enabled()
        )
    return found[0], found[1]


def losses_of_logits(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The same from logits [..., V] and targets [...], by definition."""
    log_p, targets = logits.float().log_softmax(-1).flatten(0, -2), targets.flatten()
    none = targets < 0
    loss = -log_p.gather(-1, targets.clamp(min=0)[:, None])[:, 0].masked_fill(none, 0.0).sum()
    if not smoothing:
        return loss, loss
    return loss, (1 - smoothing) * loss - smoothing * log_p.mean(-1).masked_fill(none, 0.0).sum()


def target_losses(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """The plain loss of each of targets [...] by itself, in float32 and without a gradient; 0 where there is none.

    As in `summed_losses` all logits are never held at once.
    """
    flat, chosen = states.flatten(0, -2), targets.flatten()
    rows = max(1, CHUNK.get(states.device.type, ELSEWHERE) // weight.shape[0])
    found = torch.empty(len(chosen), device=states.device)
    for start in range(0, len(chosen), rows):
        part = slice(start, start + rows)
        log_p = F.linear(flat[part], weight, bias).float().log_softmax(-1)
        found[part] = -log_p.gather(-1, chosen[part, None].clamp(min=0))[:, 0]
    return found.masked_fill_(chosen < 0, 0.0).view(targets.shape)
