"""What decoding remembers between steps. Tensors in, tensors out: it knows nothing of keys or values."""

import torch
from torch import Tensor


class Cache:
    """Tensors [B, L, *] that grow along L."""

    def __init__(self) -> None:
        self.tensors: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return self.tensors[0].shape[1] if self.tensors else 0

    def append(self, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Everything remembered so far, `new` last."""
        if self.tensors:
            new = tuple(torch.cat(pair, dim=1) for pair in zip(self.tensors, new, strict=True))
        self.tensors = new
        return new

    def select(self, rows: Tensor) -> None:
        """Keeps these rows of the batch, in this order; a row may be taken twice."""
        self.tensors = tuple(tensor.index_select(0, rows) for tensor in self.tensors)

    @property
    def numbers(self) -> int:
        """How many numbers are held."""
        return sum(tensor.numel() for tensor in self.tensors)


class DecoderCache:
    """A cache per layer and site: the decoder's own past, and the encoded source where there is one."""

    def __init__(self, layers: int) -> None:
        self.past = [Cache() for _ in range(layers)]
        self.source = [Cache() for _ in range(layers)]

    def __len__(self) -> int:
        return len(self.past[0])

    def select(self, rows: Tensor) -> None:
        """Keeps these rows of the batch everywhere."""
        for cache in self.past + self.source:
            cache.select(rows)
