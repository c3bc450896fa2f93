"""Several runs of one model trained as one batched model: the same steps as one at a time, in fewer operations.

The model's own modules run under `torch.func.vmap`, with N runs' weights in place of their own. Twin: `Alone`.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from ablations.course import Course
from ablations.learner import Progressed
from ablations.stack.batches import side_by_side
from ablations.stack.dropout import Streams
from ablations.stack.replay import Replay
from ablations.stack.rows import Rows
from data.batch import Batch
from models.dropout import masks_from
from models.loss import Objective


class Stack:
    """The learner of runs that `alike` calls so and that stand at the same step."""

    def __init__(self, courses: Sequence[Course]):
        self.place = courses[0].place
        self.models = [course.model for course in courses]
        self.rows = Rows(self.models, [course.optim for course in courses])
        self.streams = Streams(self.models[0], [course.seed for course in courses], self.place.device)
        # Its weights are never used: each pass puts the runs' in their place.
        self.objective = Objective(copy.deepcopy(self.models[0]), courses[0].optim.label_smoothing).train()
        self.replay = Replay(self._losses_and_gradients)
        for run, course in enumerate(courses):
            if (saved := course.rest_of_checkpoint()) is not None:
                self.rows.resume(run, saved["optimizer"])
                self.streams.resume(run, saved["random_states"][0])

    def step(self, batches: list[list[Batch]], rates: list[float]) -> list[Progressed]:
        """One optimizer step of every run over its own micro-batches."""
        tokens = [sum(batch.tokens for batch in mine) for mine in batches]
        totals = torch.tensor(tokens, dtype=torch.float32).to(self.place.device, non_blocking=True)
        losses = torch.zeros_like(totals)
        for own in zip(*batches, strict=True):
            padded = side_by_side(own)
            masks = self.streams.draw(own, padded)
            if self.place.device.type == "cuda":
                padded = padded.pinned()
            padded = padded.to(self.place.device)
            shapes = len(own), *(tuple(tensor.shape) for tensor in padded.inputs.values())
            inputs = self.rows.values(), masks, padded.inputs, padded.targets, totals
            loss, gradients = self.replay(shapes, *inputs)
            losses += loss
            self.rows.add_gradients(gradients)
        norms = self.rows.step(rates)
        return list(zip(losses.unbind(), norms.unbind(), tokens, strict=True))

    def write_back(self) -> None:
        """Brings each run's own model up to date."""
        for run, model in enumerate(self.models):
            self.rows.write_back(run, model)

    def optimizer_state(self, run: int) -> dict[str, Any]:
        """As the run alone would have it."""
        return self.rows.state(run)

    def random_state(self, run: int) -> list[Tensor]:
        """Of the run's dropout, as the run alone would have it."""
        return self.streams.state(run)

    def leave(self, run: int) -> None:
        """Takes out a run that has come to its end; those after it move up."""
        del self.models[run]
        self.rows.leave(run)
        self.streams.leave(run)
        self.replay = Replay(self._losses_and_gradients)  # lists are of as many runs as there were

    def _losses_and_gradients(
        self,
        values: list[Tensor],
        masks: list[Tensor],
        inputs: dict[str, Tensor],
        targets: Tensor,
        totals: Tensor,
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The runs' losses [N], and the gradients of their rows, each from its own batch."""
        leaves = [rows.detach().requires_grad_() for rows in values]
        weights = {f"model.{name}": weight for name, weight in self.rows.weights(leaves).items()}
        with self.place.autocast():
            loss, smoothed = vmap(self._of_one)(weights, masks, inputs, targets)
        return loss.detach(), torch.autograd.grad((smoothed / totals).sum(), leaves)

    def _of_one(
        self, weights: dict[str, Tensor], masks: list[Tensor], inputs: dict[str, Tensor], targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        rest = iter(masks)
        with masks_from(lambda _shape, _p, dtype: next(rest).to(dtype)):
            return functional_call(self.objective, weights, (inputs, targets))
