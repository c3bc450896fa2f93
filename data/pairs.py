"""Sentence pairs in batches of similar length, for translators."""

from collections.abc import Iterator

import numpy as np

from data import buckets
from data.batch import Batch, translation_batch
from data.prepared import Prepared


def plan(prepared: Prepared, batch_tokens: int, context: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of training batches, each the numbers of its pairs, without pairs that have a side beyond `context`."""
    return buckets.epoch(prepared.lengths("train"), _by_length, "pair", batch_tokens, context, rng)


def _by_length(lengths: np.ndarray) -> np.ndarray:
    """Order by target length, then source length, up and down by turns: neighbours are alike on both sides."""
    source, target = lengths[:, 0], lengths[:, 1]
    return np.lexsort((np.where(target % 2 == 0, source, -source), target))


def collate(prepared: Prepared, numbers: np.ndarray, split: str = "train", longest: int | None = None) -> Batch:
    """The batch of these pairs; evaluation batches know which ones they hold."""
    sides = []
    for side in ("source", "target"):
        flat, offsets = prepared.side(split, side)
        starts = offsets[numbers].astype(np.int64)
        sides.append((flat, starts, offsets[numbers + 1].astype(np.int64) - starts))
    return translation_batch(*sides, rows=[] if split == "train" else numbers.tolist(), longest=longest)


def evaluation_batches(prepared: Prepared, split: str, batch_tokens: int, context: int) -> Iterator[Batch]:
    """Every pair of the split once, shortest first; a side longer than `context` is cut (`facts` counts them)."""
    lengths = np.minimum(prepared.lengths(split), context)
    order = _by_length(lengths)
    for start, end in buckets.cuts(lengths[order].max(axis=1), batch_tokens):
        yield collate(prepared, order[start:end], split, longest=context)
