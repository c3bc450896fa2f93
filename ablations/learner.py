"""How optimizer steps are made. The plain way: one model, its batches one after the other."""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ablations.course import Course
from ablations.optim import optimizer
from data.batch import Batch
from models.init import stream
from models.kernels.recompute import recompute
from models.loss import Objective

Progressed = tuple[Tensor, Tensor, int]  # summed loss, gradient norm before clipping, this process's own targets


class Learner(Protocol):
    """Makes the steps of one run or of several, which stand at the same step."""

    def step(self, batches: list[list[Batch]], rates: list[float]) -> list[Progressed]:
        """One optimizer step of every run from its own batches, without waiting for the device."""
        ...

    def write_back(self) -> None:
        """Brings each run's own model up to date."""
        ...

    def optimizer_state(self, run: int) -> dict[str, Any]:
        """As the run alone would have it."""
        ...

    def random_state(self, run: int) -> list[Tensor]:
        """Of the run's dropout, as the run alone would have it: the CPU's stream, and the GPU's where one is used."""
        ...

    def leave(self, run: int) -> None:
        """Takes out a run that has diverged; those after it move up."""
        ...


class Alone:
    """One run. Every target weighs the same, whichever micro-batch or process it came in: many small are one big."""

    def __init__(self, course: Course):
        config, place = course.config, course.place
        self.model, self.place, self.clip = course.model, place, course.optim.clip
        self.optimizer: torch.optim.AdamW = optimizer(course.model, course.optim)
        self.data_parallel = place.data_parallel(Objective(course.model, course.optim.label_smoothing))
        self.objective = self.data_parallel
        if config.recompute:
            recompute(course.model)
        if config.compile:
            # A graph is of one shape, and the gradient it leaves does not outlive its next replay.
            graphs = place.device.type == "cuda" and config.accumulate == place.world
            options: dict[str, Any] = {"triton.cudagraphs": True, "triton.cudagraph_skip_dynamic_graphs": True}
            self.objective = torch.compile(self.data_parallel, options=options if graphs else None)
        # Dropout has a stream of its own, one per process; data order and initial weights do not draw from it.
        torch.manual_seed(stream(course.seed, f"dropout/{place.rank}"))
        if (saved := course.rest_of_checkpoint()) is not None:
            self.optimizer.load_state_dict(saved["optimizer"])
            self._resume(saved["random_states"])

    def step(self, batches: list[list[Batch]], rates: list[float]) -> list[Progressed]:
        """One optimizer step over all micro-batches of all processes."""
        [mine], [rate] = batches, rates
        self.model.train()
        place, tokens = self.place, sum(batch.tokens for batch in mine)
        total = place.all_reduce(torch.full((), float(tokens), device=place.device))
        losses = torch.zeros((), device=place.device)
        for i, batch in enumerate(mine):
            batch = batch.to(place.device)
            with place.gradient_sync(self.data_parallel, now=i + 1 == len(mine)):
                with place.autocast():
                    loss, smoothed = self.objective(batch.inputs, batch.targets)
                (smoothed * (place.world / total)).backward()
            losses += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), math.inf if self.clip is None else self.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return [(losses, norm, tokens)]

    def write_back(self) -> None:
        """Nothing to do: the run's own model is the one that learns."""

    def optimizer_state(self, run: int) -> dict[str, Any]:
        """The optimizer's."""
        return self.optimizer.state_dict()

    def random_state(self, run: int) -> list[Tensor]:
        """Torch's global streams."""
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if self.place.device.type == "cuda" else [])]

    def leave(self, run: int) -> None:
        """Nothing to do: nobody is left."""

    def _resume(self, random_states: list[list[Tensor]]) -> None:
        if self.place.rank >= len(random_states):
            return  # a process that was not there before begins its own stream
        cpu, *cuda = random_states[self.place.rank]
        torch.set_rng_state(cpu)
        if cuda and self.place.device.type == "cuda":
            torch.cuda.set_rng_state(cuda[0])
