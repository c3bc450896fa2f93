"""Dropout of several runs at once, each from its own stream of random numbers, as it would draw alone.

On a CPU a run alone draws its masks from torch's global stream, one after the other, each of the shape of what is
dropped. Here every run has a generator that stands where the global one would, and its masks are drawn before the
pass; where batches were padded to one shape, so are they. On a GPU a run alone draws other numbers.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from data.batch import Batch
from models.dropout import drawn, masks_from
from models.init import stream

MOST = 4096  # shapes whose calls are remembered
Call = tuple[torch.Size, float]  # the shape of what is dropped, and how much of it


class Streams:
    """A stream for each run, seeded as the run alone seeds its own."""

    def __init__(self, model: nn.Module, seeds: Sequence[int], device: torch.device):
        self.device = device
        devices = ["cpu"] if device.type == "cpu" else ["cpu", device]  # the last one is drawn from
        self.generators = [[torch.Generator(device) for device in devices] for _ in seeds]
        for seed, mine in zip(seeds, self.generators, strict=True):
            for generator in mine:
                generator.manual_seed(stream(seed, "dropout/0"))
        self._blueprint: Any = copy.deepcopy(model).to("meta").train()
        self._sober = False  # nothing is ever dropped
        self._calls: dict[tuple[torch.Size, ...], list[Call]] = {}

    def state(self, run: int) -> list[Tensor]:
        """As the run alone would save it."""
        return [generator.get_state() for generator in self.generators[run]]

    def resume(self, run: int, state: list[Tensor]) -> None:
        """From the state of a run alone or in a stack."""
        for generator, saved in zip(self.generators[run], state, strict=False):
            generator.set_state(saved)

    def leave(self, run: int) -> None:
        """Takes out a run; those after it move up."""
        del self.generators[run]

    def draw(self, own: Sequence[Batch], padded: Batch) -> list[Tensor]:
        """The masks [N, ...] of one pass in the order of their use."""
        if self._sober:
            return []
        wanted = self._of({name: tensor[0] for name, tensor in padded.inputs.items()})
        self._sober = not wanted
        masks = [torch.zeros(len(own), *shape, device=self.device) for shape, _ in wanted]
        for run, batch in enumerate(own):
            generator = self.generators[run][-1]
            for mask, (shape, p) in zip(masks, self._of(batch.inputs), strict=True):
                mask[run][tuple(map(slice, shape))] = drawn(shape, p, mask.dtype, generator, self.device)
        return masks

    def _of(self, inputs: dict[str, Tensor]) -> list[Call]:
        """What is dropped in a pass over inputs of these shapes, by a pass without numbers."""
        shapes = tuple(tensor.shape for tensor in inputs.values())
        if shapes not in self._calls:
            if len(self._calls) == MOST:
                self._calls.clear()
            calls = self._calls[shapes] = []

            def note(shape: torch.Size, p: float, dtype: torch.dtype) -> Tensor:
                calls.append((shape, p))
                return torch.empty(shape, dtype=dtype, device="meta")

            with torch.no_grad(), masks_from(note):
                self._blueprint.states(**{name: tensor.to("meta") for name, tensor in inputs.items()})
        return self._calls[shapes]
