"""Sentence pairs in batches of similar length, for translators."""

from collections.abc import Iterator

import numpy as np

from data.batch import Batch, translation_batch
from data.prepared import Prepared

POOL = 100_000  # pairs sorted by length together


def plan(prepared: Prepared, batch_tokens: int, context: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of training batches, each the numbers of its pairs, without pairs that have a side beyond `context`."""
    if batch_tokens < context:
        raise ValueError(
            f"a batch of {batch_tokens} tokens does not hold one pair of up to {context}: raise batch_tokens to it"
        )
    lengths = prepared.lengths("train")
    kept = np.flatnonzero((lengths <= context).all(axis=1))
    if kept.size == 0:
        raise ValueError(f"every training pair has a side longer than task.context={context}: raise it")
    shuffled = rng.permutation(kept)
    batches: list[np.ndarray] = []
    for first in range(0, len(shuffled), POOL):
        pool = shuffled[first : first + POOL]
        pool = pool[_by_length(lengths[pool])]
        batches += [pool[start:end] for start, end in _cuts(lengths[pool].max(axis=1), batch_tokens)]
    return [batches[place] for place in rng.permutation(len(batches))]


def _by_length(lengths: np.ndarray) -> np.ndarray:
    """Order by target length, then source length, up and down by turns: neighbours are alike on both sides."""
    source, target = lengths[:, 0], lengths[:, 1]
    return np.lexsort((np.where(target % 2 == 0, source, -source), target))


def _cuts(longest: np.ndarray, batch_tokens: int) -> Iterator[tuple[int, int]]:
    """Cut a sequence of pairs so that rows x longest side stays within `batch_tokens`; a single pair always fits."""
    start = 0
    while start < len(longest):
        window = longest[start : start + batch_tokens]
        area = np.maximum.accumulate(window[: 1 + batch_tokens // int(window[0])])
        rows = max(1, int(np.searchsorted(area * np.arange(1, len(area) + 1), batch_tokens, side="right")))
        yield start, start + rows
        start += rows


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
    for start, end in _cuts(lengths[order].max(axis=1), batch_tokens):
        yield collate(prepared, order[start:end], split, longest=context)
