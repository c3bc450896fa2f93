"""The training loop: steps, log lines, validations, checkpoints, for one run or several side by side.

It knows neither tasks nor strategies. What a run keeps is in `ablations/course.py`, how a step is made in
`ablations/learner.py`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from ablations.course import Course
from ablations.learner import Learner

Report = Callable[[dict[str, float]], None]


class GivenUpError(Exception):
    """A validation is not worth its end: the process has to leave."""


class Trainer:
    """Takes courses that stand at the same step to the last one. They differ in nothing that sets the rhythm."""

    def __init__(self, courses: Sequence[Course], learner: Learner):
        assert len({course.state.step for course in courses}) == 1
        self.going = [course for course in courses if course.going]
        self.learner, self.config, self.place = learner, courses[0].config, courses[0].place
        self.courses = courses

    def fit(self, reports: Sequence[Report], asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        """Trains to the last step and leaves the selected weights in the models; each report is given its run's lines.

        Returns early, everything saved, when asked to stop; the curve of who goes on from there shows no trace of it.
        A validation is given up then, unless other processes take part in it, and is the first thing done later.
        """
        told = {course.signature: report for course, report in zip(self.courses, reports, strict=True)}
        if self.courses[0].state.step == 0:
            for course in self.going:
                course.observe()
        since = time.perf_counter()
        while self.going:
            step = self.going[0].state.step
            if not (self.going[0].amid_line and self._due(step)[-1]):  # else its validation was given up
                step += 1
                self._step(step)
            validate, look, save, log = self._due(step)
            if not log:
                if self.place.world == 1 and asked_to_stop():
                    self._stop(self.place.now(True) - since, told)
                    return
                continue
            stop = self._agreed(asked_to_stop()) and step < self.config.steps
            wait = save or stop or self.place.device.type == "cpu"  # elsewhere a line is read while the next begins
            now = self.place.now(wait)
            if save or stop:
                self.learner.write_back()
            nlls = self._validate(asked_to_stop) if validate else [None] * len(self.going)
            if nlls is None:
                self._stop(now - since, told)
                return
            for course, nll in zip(self.going, nlls, strict=True):
                for line in course.log(now - since, wait, nll):
                    told[course.signature](line)
                if look and course.state.diverged is None:
                    course.observe()
            if save or stop:
                self._save()
            if stop:
                return
            self._go_on()
            since = time.perf_counter() if wait else now
        for course in self.courses:
            course.select()

    def _step(self, step: int) -> None:
        batches = [course.loader.take(self.config.accumulate) for course in self.going]
        rates = [course.rate(step) for course in self.going]
        for course, progressed in zip(self.going, self.learner.step(batches, rates), strict=True):
            course.logged.add(*progressed)
            course.state.step = step

    def _due(self, step: int) -> tuple[bool, bool, bool, bool]:
        """Whether to validate, to look at the models, to save and to log after this step."""
        config, last = self.config, step == self.config.steps
        watched, every = self.courses[0].watch is not None, self.courses[0].watch_every or config.steps
        validate = last or step % config.eval_every == 0
        look = watched and (last or step % every == 0)
        save = validate or look or step % config.checkpoint_every == 0
        return validate, look, save, save or step % config.log_every == 0

    def _validate(self, asked_to_stop: Callable[[], bool]) -> list[float] | None:
        """Nats per token of every run, before any of their lines ends; None when asked to stop on the way."""

        def look_up(*_: Any) -> None:
            if self.place.world == 1 and asked_to_stop():
                raise GivenUpError

        with register_module_forward_pre_hook(look_up), self.place.autocast():
            try:
                return [course.validate(course.model) for course in self.going]
            except GivenUpError:
                return None

    def _stop(self, seconds: float, told: dict[str, Report]) -> None:
        """Between two log lines: the line begun is saved with the rest."""
        for course in self.going:
            for line in course.ready():
                told[course.signature](line)
            course.state.seconds += seconds
        self.learner.write_back()
        self._save()

    def _save(self) -> None:
        for run, course in enumerate(self.going):
            random_states = self.place.all_gather(self.learner.random_state(run))
            course.save(self.learner.optimizer_state(run), random_states)

    def _go_on(self) -> None:
        """Without those that have come to their end."""
        for run in reversed(range(len(self.going))):
            if not self.going[run].going:
                self.learner.leave(run)
        self.going = [course for course in self.going if course.going]

    def _agreed(self, stop: bool) -> bool:
        """Whether any process was asked to stop; they ask each other where they log, since all must leave together."""
        if self.place.world == 1:
            return stop
        return self.place.all_reduce(torch.tensor(float(stop), device=self.place.device)).item() > 0
