"""How much memory a training step needs beside its weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ablations.bench.setup import Setup


def of_a_step(setup: Setup, model: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Bytes: on a GPU the peak of a forward and backward pass above what stands before it, gradients included.

    On a CPU what the forward pass keeps for the backward pass, every piece of memory once, weights left out.
    """
    if setup.place.type == "cuda":
        model.zero_grad()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss().backward()
        return torch.cuda.max_memory_allocated() - before
    kept = {p.untyped_storage().data_ptr(): 0 for p in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss()
    total = sum(kept.values())
    del result  # until here nothing that was seen is freed, so that no address is seen twice
    return total
