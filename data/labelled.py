"""Sentences with a label, in batches of similar length, for classifiers."""

from collections.abc import Iterator

import numpy as np

from data import buckets
from data.batch import Batch, labelled_batch
from data.prepared import Prepared


def plan(prepared: Prepared, batch_tokens: int, context: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of training batches, each the numbers of its sentences, without those longer than `context`."""
    return buckets.epoch(prepared.lengths("train"), _by_length, "sentence", batch_tokens, context, rng)


def _by_length(lengths: np.ndarray) -> np.ndarray:
    return np.argsort(lengths[:, 0], kind="stable")


def collate(prepared: Prepared, numbers: np.ndarray, split: str = "train", longest: int | None = None) -> Batch:
    """The batch of these sentences; evaluation batches know which ones they hold."""
    flat, offsets = prepared.side(split, "text")
    starts = offsets[numbers].astype(np.int64)
    lengths = offsets[numbers + 1].astype(np.int64) - starts
    rows = [] if split == "train" else numbers.tolist()
    return labelled_batch((flat, starts, lengths), prepared.labels(split)[numbers], rows, longest)


def evaluation_batches(prepared: Prepared, split: str, batch_tokens: int, context: int) -> Iterator[Batch]:
    """Every sentence of the split once, shortest first; one longer than `context` is cut (`facts` counts them)."""
    lengths = np.minimum(prepared.lengths(split), context)
    order = _by_length(lengths)
    for start, end in buckets.cuts(lengths[order, 0], batch_tokens):
        yield collate(prepared, order[start:end], split, longest=context)
