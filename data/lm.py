"""Windows of a token stream for language models."""

from collections.abc import Iterator

import numpy as np

from data.batch import Batch, language_batch
from data.prepared import Prepared


def plan(prepared: Prepared, batch_tokens: int, context: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of training batches, each the start positions of its windows.

    Windows do not overlap; the whole grid shifts by a random phase, so the borders differ between epochs.
    """
    targets = len(prepared.stream("train")) - 1
    if targets < context:
        raise ValueError(
            f"the training text has {targets} tokens, fewer than one window: choose task.context below {context}"
        )
    windows = max(1, (targets - context + 1) // context)
    phase = rng.integers(min(context, targets - windows * context + 1))
    rows = min(rows_per_batch(batch_tokens, context), windows)
    starts = phase + context * rng.permutation(windows)
    return [starts[first : first + rows] for first in range(0, windows - rows + 1, rows)]


def rows_per_batch(batch_tokens: int, context: int) -> int:
    """Windows in a batch. Raises: ValueError where not one fits."""
    if batch_tokens < context:
        raise ValueError(
            f"a batch of {batch_tokens} tokens does not hold one window of {context}: raise batch_tokens to it"
        )
    return batch_tokens // context


def collate(prepared: Prepared, starts: np.ndarray, context: int) -> Batch:
    """The training batch of these windows."""
    lengths = np.full(len(starts), context)
    return language_batch(prepared.stream("train"), starts, lengths, score=lengths)


def evaluation_batches(
    prepared: Prepared, split: str, batch_tokens: int, context: int, stride: int | None = None
) -> Iterator[Batch]:
    """Windows in order that score every target of the split once; the first sees bos and so scores the first token.

    `stride` (none: the whole window): how far a window lies behind the one before; a window scores its new targets
    only, so with a short stride each target but the first few sees at least context - stride tokens.
    """
    stride = context if stride is None else stride
    if not 1 <= stride <= context:
        raise ValueError(f"evaluation.stride={stride} must lie between 1 and the context, {context}")
    stream = prepared.stream(split)
    targets = len(stream) - 1
    starts = stride * np.arange(1 + max(0, -(-(targets - context) // stride)))
    ends = np.minimum(starts + context, targets)
    scores = np.diff(ends, prepend=0)
    rows = rows_per_batch(batch_tokens, context)
    for first in range(0, len(ends), rows):
        window = slice(first, first + rows)
        places = range(first, min(first + rows, len(ends)))
        yield language_batch(stream, starts[window], (ends - starts)[window], scores[window], places)
