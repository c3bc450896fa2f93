"""What a model is trained and scored on: padded integers, and which of them count."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

PAD, BOS, EOS, UNK = 0, 1, 2, 3  # the same in every vocabulary
IGNORE = -100  # target positions that are not scored


@dataclass
class Batch:
    """One batch of B rows.

    language modelling: inputs {"tokens": [B, L]}, targets [B, L] the next tokens.
    translation: inputs {"source": [B, S] ending in eos, "source_mask": [B, S] True at real tokens, "target": [B, T]
    bos + sentence}, targets [B, T] sentence + eos.
    classification: inputs {"tokens": [B, L] bos + sentence, "mask": [B, L] True at real tokens}, targets [B] the number
    of each sentence's class.
    """

    inputs: dict[str, Tensor]
    targets: Tensor
    rows: list[int] = field(default_factory=list)  # evaluation: place of each row in its split

    @property
    def tokens(self) -> int:
        """Number of scored targets."""
        return int((self.targets != IGNORE).sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`; the caller does not wait for what comes from page-locked memory."""
        inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}
        return Batch(inputs, self.targets.to(device, non_blocking=True), self.rows)

    def pinned(self) -> "Batch":
        """The same batch in page-locked memory, which only a machine with a GPU has."""
        return Batch({name: tensor.pin_memory() for name, tensor in self.inputs.items()}, self.targets.pin_memory())


def gather(flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut rows `flat[start : start + length]` and pad them: ids [B, L] (int64, 0 beyond a row) and mask [B, L]."""
    columns_L = np.arange(lengths.max(initial=0))
    mask_BL = columns_L < lengths[:, None]
    index_BL = np.where(mask_BL, starts[:, None] + columns_L, 0)
    return np.where(mask_BL, flat[index_BL].astype(np.int64), PAD), mask_BL


def language_batch(
    stream: np.ndarray, starts: np.ndarray, lengths: np.ndarray, score: np.ndarray, rows: Sequence[int] = ()
) -> Batch:
    """Windows of a token stream; row i reads `lengths[i]` tokens from `starts[i]` and scores its last `score[i]`."""
    window_BL, mask_BL = gather(stream, starts, lengths + 1)
    columns_L = np.arange(window_BL.shape[1] - 1)
    scored_BL = mask_BL[:, 1:] & (columns_L >= (lengths - score)[:, None])
    targets_BL = np.where(scored_BL, window_BL[:, 1:], IGNORE)
    tokens_BL = np.where(mask_BL[:, 1:], window_BL[:, :-1], PAD)
    return Batch({"tokens": torch.from_numpy(tokens_BL)}, torch.from_numpy(targets_BL), list(rows))


def translation_batch(
    source: tuple[np.ndarray, np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray, np.ndarray],
    rows: Sequence[int] = (),
    longest: int | None = None,
) -> Batch:
    """Sentence pairs; a side is (flat ids of sentences each ending in eos, starts [B], lengths [B] with eos).

    A side longer than `longest` is cut: the source keeps its eos, the target loses its end.
    """
    source_flat, source_starts, source_lengths = source
    target_flat, target_starts, target_lengths = target
    if longest is not None:
        cut_B = source_lengths > longest
        source_lengths = np.minimum(source_lengths, longest)
        target_lengths = np.minimum(target_lengths, longest)
    source_BS, source_mask_BS = gather(source_flat, source_starts, source_lengths)
    if longest is not None:
        source_BS[cut_B, longest - 1 : longest] = EOS
    target_BT, mask_BT = gather(target_flat, target_starts, target_lengths)
    inputs_BT = np.empty_like(target_BT)
    inputs_BT[:, 0] = BOS
    inputs_BT[:, 1:] = np.where(mask_BT[:, 1:], target_BT[:, :-1], PAD)
    targets_BT = np.where(mask_BT, target_BT, IGNORE)
    inputs = {"source": source_BS, "source_mask": source_mask_BS, "target": inputs_BT}
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    return Batch(tensors, torch.from_numpy(targets_BT), list(rows))


def labelled_batch(
    text: tuple[np.ndarray, np.ndarray, np.ndarray],
    labels_B: np.ndarray,
    rows: Sequence[int] = (),
    longest: int | None = None,
) -> Batch:
    """Sentences with their classes' numbers; `text` is (flat ids of sentences each with bos, starts [B], lengths [B]).

    A sentence longer than `longest` loses its end.
    """
    flat, starts, lengths = text
    tokens_BL, mask_BL = gather(flat, starts, lengths if longest is None else np.minimum(lengths, longest))
    inputs = {"tokens": torch.from_numpy(tokens_BL), "mask": torch.from_numpy(mask_BL)}
    return Batch(inputs, torch.from_numpy(labels_B.astype(np.int64)), list(rows))
