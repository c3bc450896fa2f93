"""Sentences of similar length in one batch: little padding, the same batches for the same seed."""

from collections.abc import Callable, Iterator

import numpy as np

POOL = 100_000  # items sorted by length together


def epoch(
    lengths_NS: np.ndarray,
    order: Callable[[np.ndarray], np.ndarray],
    item: str,
    batch_tokens: int,
    context: int,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """One epoch of training batches, each the numbers of its items, without items that have a side beyond `context`.

    `lengths_NS`: tokens of each side of N items; `order` sorts such lengths so that neighbours are alike; `item` is
    what a refusal calls one. Raises: ValueError where no item fits.
    """
    if batch_tokens < context:
        raise ValueError(
            f"a batch of {batch_tokens} tokens does not hold one {item} of up to {context}: raise batch_tokens to it"
        )
    kept = np.flatnonzero((lengths_NS <= context).all(axis=1))
    if kept.size == 0:
        raise ValueError(f"every training {item} is longer than task.context={context}: raise it")
    shuffled = rng.permutation(kept)
    batches: list[np.ndarray] = []
    for first in range(0, len(shuffled), POOL):
        pool = shuffled[first : first + POOL]
        pool = pool[order(lengths_NS[pool])]
        batches += [pool[start:end] for start, end in cuts(lengths_NS[pool].max(axis=1), batch_tokens)]
    return [batches[place] for place in rng.permutation(len(batches))]


def cuts(longest: np.ndarray, batch_tokens: int) -> Iterator[tuple[int, int]]:
    """Cut a sequence of items so that rows x longest side stays within `batch_tokens`; a single item always fits."""
    start = 0
    while start < len(longest):
        window = longest[start : start + batch_tokens]
        area = np.maximum.accumulate(window[: 1 + batch_tokens // int(window[0])])
        rows = max(1, int(np.searchsorted(area * np.arange(1, len(area) + 1), batch_tokens, side="right")))
        yield start, start + rows
        start += rows
