"""Dropout (Srivastava et al. 2014), and where its masks come from.

On a CPU, torch spends more time on the random numbers of a mask than on all else it does to what is dropped. Here one
64-bit number serves four elements, and a probability is a multiple of 1/65536; that kept elements are divided by what
is really kept leaves the mean exact.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Source = Callable[[torch.Size, float, torch.dtype], Tensor]
_source: Source | None = None


class Dropout(nn.Module):
    """Sets a share `p` of its input's elements to zero in training, the others keep the mean as it was."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    @property
    def active(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self.p > 0

    def forward(self, x: Tensor) -> Tensor:
        """x with some elements zero."""
        if not self.active:
            return x
        if x.device.type != "cpu" and not handed_in():
            return F.dropout(x, self.p)  # one kernel draws and drops
        return x * self.mask(x.shape, x.dtype)

    def mask(self, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """What to multiply by: zeros, and one number that makes up for them."""
        return (_source or drawn)(shape, self.p, dtype)


def handed_in() -> bool:
    """Whether masks come from `masks_from`, so that no kernel may draw its own."""
    return _source is not None


@contextmanager
def masks_from(source: Source) -> Iterator[None]:
    """Inside, masks are what `source(shape, p, dtype)` answers, one call after the other as they are needed."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def drawn(
    shape: torch.Size,
    p: float,
    dtype: torch.dtype,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """A mask of this shape from a stream of random numbers, torch's global one by default."""
    dropped = round(p * 2**16)
    numbers = torch.empty(-(-shape.numel() // 4), dtype=torch.int64, device=device)
    numbers.random_(-(2**63), None, generator=generator)
    sixteen_bits = numbers.view(torch.int16)[: shape.numel()].view(shape)
    mask = torch.empty(shape, dtype=dtype, device=device)
    return torch.ge(sixteen_bits, dropped - 2**15, out=mask).mul_(1 / (1 - dropped / 2**16))
