"""Less memory for more time: what a block computes inside is thrown away and computed again in the backward pass."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.layers import Block


def recompute(model: nn.Module) -> None:
    """Has every block keep nothing but its input for the backward pass (Chen et al. 2016), from now on.

    Costs another forward pass. Dropout drops the same again: its random stream is put back where it
    stood. Gradients are the same to the last bit; passes that need none are left as they are.
    """
    for block in model.modules():
        if isinstance(block, Block):
            block.forward = _recomputed(block.forward)


def _recomputed(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def recomputed(*inputs: Any, **options: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(*inputs, **options)
        return checkpoint(forward, *inputs, use_reentrant=False, **options)

    return recomputed
