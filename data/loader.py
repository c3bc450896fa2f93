"""Batches in an order that depends on the seed alone, and that can be taken up again at the exact batch."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from data import labelled, lm, pairs
from data.batch import Batch
from data.prepared import Prepared

SENTENCES = {"translation": pairs, "classification": labelled}  # kinds whose batches are made of whole sentences


class Loader:
    """Endless training batches of a run; where several processes train, each collates those whose turn is its own.

    A batch holds up to `batch_tokens` padded tokens, a row up to `context`. The batches of an epoch are a pure function
    of (seed, epoch), whatever the number of processes: N processes that share N batches a step learn from what one
    process accumulates. Draws from no global random generator.
    """

    def __init__(self, prepared: Prepared, batch_tokens: int, context: int, seed: int, rank: int = 0, world: int = 1):
        assert 0 <= rank < world
        self._prepared = prepared
        self._batch_tokens = batch_tokens
        self._context = context
        self._seed = seed
        self._rank = rank
        self._world = world
        self._epoch = 0
        self._index = 0
        self._plan = self._plan_epoch(0)

    def _plan_epoch(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self._seed, epoch))
        kind = SENTENCES.get(self._prepared.kind, lm)
        return kind.plan(self._prepared, self._batch_tokens, self._context, rng)

    @property
    def batches_per_epoch(self) -> int:
        """In the current epoch; with whole sentences the number changes a little from epoch to epoch."""
        return len(self._plan)

    @property
    def epochs(self) -> float:
        """Passes over the training text so far."""
        return self._epoch + self._index / self.batches_per_epoch

    def take(self, count: int) -> list[Batch]:
        """This process's share of the run's next `count` batches; `count` is a multiple of the number of processes."""
        assert count % self._world == 0
        mine = []
        for turn in range(count):
            if self._index == len(self._plan):
                self._epoch += 1
                self._index = 0
                self._plan = self._plan_epoch(self._epoch)
            if turn % self._world == self._rank:
                mine.append(self._collate(self._plan[self._index]))
            self._index += 1
        return mine

    def apart(self) -> "Loader":
        """Another one that stands here: what it gives, this one will give, too."""
        return copy.copy(self)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return self.take(self._world)[0]

    def _collate(self, chosen: np.ndarray) -> Batch:
        if self._prepared.kind in SENTENCES:
            return SENTENCES[self._prepared.kind].collate(self._prepared, chosen)
        return lm.collate(self._prepared, chosen, self._context)

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands in which text, the same for every process; goes with the run's seed and sizes."""
        return {"epoch": self._epoch, "index": self._index, "data": self._prepared.digest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue behind the batch at which `state` was taken. Raises: ValueError where that was of another text."""
        theirs, mine = state.get("data"), self._prepared.digest
        if theirs != mine:
            raise ValueError(
                f"this run stopped in the middle of another text (data {theirs}, now {mine}): restore that text, give "
                "the new one a name of its own with task.name=..., or delete the run's checkpoint to start it anew"
            )
        self._epoch = state["epoch"]
        self._plan = self._plan_epoch(self._epoch)
        self._index = state["index"]


def evaluation_batches(
    prepared: Prepared, split: str, batch_tokens: int, context: int, stride: int | None = None
) -> Iterator[Batch]:
    """Batches that cover every target of a split exactly once; `stride` matters to language models only."""
    if prepared.kind in SENTENCES:
        return SENTENCES[prepared.kind].evaluation_batches(prepared, split, batch_tokens, context)
    return lm.evaluation_batches(prepared, split, batch_tokens, context, stride)


def first_rows(prepared: Prepared, split: str, rows: int, context: int) -> Batch:
    """The first rows of a split as one batch: the same for every model, whatever its sizes."""
    if prepared.kind in SENTENCES:
        module = SENTENCES[prepared.kind]
        return module.collate(prepared, np.arange(min(rows, len(prepared.lengths(split)))), split, longest=context)
    return next(lm.evaluation_batches(prepared, split, rows * context, context))
