"""The batches of several runs as one, padded to the largest; N runs are the first axis of everything."""

from collections.abc import Sequence

import torch
from torch import Tensor

from data.batch import IGNORE, PAD, Batch


def side_by_side(batches: Sequence[Batch]) -> Batch:
    """Inputs and targets [N, ...]. What is added is padding: masked in sources, no target in targets.

    A row that is padding altogether keeps one position to look at, since a softmax over nothing is no number.
    """
    inputs = {name: _stacked([batch.inputs[name] for batch in batches], PAD) for name in batches[0].inputs}
    for mask in inputs.values():
        if mask.dtype == torch.bool:
            mask[..., 0] |= ~mask.any(-1)
    return Batch(inputs, _stacked([batch.targets for batch in batches], IGNORE))


def _stacked(tensors: Sequence[Tensor], padding: int) -> Tensor:
    largest = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    if all(list(tensor.shape) == largest for tensor in tensors):
        return torch.stack(list(tensors))
    result = tensors[0].new_full((len(tensors), *largest), padding)  # of a mask: False
    for row, tensor in zip(result, tensors, strict=True):
        row[tuple(map(slice, tensor.shape))] = tensor
    return result
