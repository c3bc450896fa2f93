"""What decoding remembers between steps. Tensors in, tensors out: it knows nothing of keys or values.

Axes: B rows of the batch, L what is remembered of one row, W width; K hypotheses of one row, S their cells.
"""

import torch
from torch import Tensor

from models.tree import Tree


class Cache:
    """Tensors [B, L, W] that grow along L.

    They lie in memory as [L, B, W], with room to grow: what a step adds is written behind the rest in one piece and
    nothing is copied, and the heads of all rows are equally far apart, so that one batched product reads them where
    they lie. Room that is used up is doubled: the cost per step, on average, does not grow with what is held.
    """

    def __init__(self, room: int = 0, tree: Tree | None = None) -> None:
        self.room = room  # along L, as soon as there is something to remember
        self.tree = tree  # where L is not one sequence
        self._kept: tuple[Tensor, ...] = ()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that is remembered; views, true until the next change."""
        return tuple(kept[: self._length].transpose(0, 1) for kept in self._kept)

    def append(self, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Everything remembered so far, `new` last. No gradient flows through it."""
        start, self._length = self._length, self._length + new[0].shape[1]
        if not self._kept or self._length > self.room:
            self.room = max(self._length, 2 * self.room if self._kept else self.room)
            older, self._kept = self._kept, tuple(t.new_empty(self.room, t.shape[0], t.shape[2]) for t in new)
            for kept, old in zip(self._kept, older, strict=False):
                kept[:start] = old[:start]
        for kept, tensor in zip(self._kept, new, strict=True):
            kept[start : self._length] = tensor.detach().transpose(0, 1)
        return self.tensors

    def select(self, rows: Tensor) -> None:
        """Keeps these rows of the batch, in this order; a row may be taken twice."""
        older, self._kept = self._kept, tuple(t.new_empty(self.room, len(rows), t.shape[2]) for t in self._kept)
        for kept, old in zip(self._kept, older, strict=True):
            torch.index_select(old[: self._length], 1, rows, out=kept[: self._length])

    def keep(self, places_BL: Tensor) -> None:
        """Keeps of every row these places along L, in this order."""
        for kept in self._kept:
            kept[: places_BL.shape[1]] = kept.gather(0, places_BL.T[:, :, None].expand(-1, -1, kept.shape[2]))
        self._length = places_BL.shape[1]

    @property
    def numbers(self) -> int:
        """How many numbers are remembered."""
        return sum(tensor.numel() for tensor in self.tensors)

    @property
    def bytes(self) -> int:
        """How much memory they take, with the room left to grow."""
        return sum(kept.untyped_storage().nbytes() for kept in self._kept)


class DecoderCache:
    """A cache per layer and site: the decoder's own past, and the encoded source where there is one.

    `room`: positions of the past to allocate at once. Where several hypotheses continue every row, `branch` says before
    each step whose children they are; then the past is a tree, and a step's tokens [B, K] stand side by side.
    """

    def __init__(self, layers: int, room: int = 16) -> None:
        self.past = [Cache(room) for _ in range(layers)]
        self.source = [Cache() for _ in range(layers)]
        self.tree: Tree | None = None

    def __len__(self) -> int:
        """How many tokens came before the next one."""
        return len(self.past[0]) if self.tree is None else self.tree.depth

    def branch(self, parents_BK: Tensor) -> None:
        """The next K tokens of each row continue these hypotheses of the last step; at first there is one, 0."""
        if self.tree is None:
            assert len(self) == 0, "a past that has begun as one sequence"
            self.tree = Tree(parents_BK)
            for cache in self.past:
                cache.tree = self.tree
            return
        self.tree.descend(parents_BK)
        if len(self.past[0]) + parents_BK.shape[1] > self.past[0].room:
            places_BS = self.tree.prune()
            if places_BS is not None:
                for cache in self.past:
                    cache.keep(places_BS)
        self.tree.grow()

    def select(self, rows: Tensor) -> None:
        """Keeps these rows of the batch everywhere."""
        for cache in self.past + self.source:
            cache.select(rows)
        if self.tree is not None:
            self.tree.select(rows)

    @property
    def bytes(self) -> int:
        """Memory taken by all of it, with the room left to grow."""
        return sum(cache.bytes for cache in self.past + self.source)
