"""What one run keeps while it trains: how far it is, its curve, what is selected, observed and saved."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ablations import checkpoint
from ablations.config import OptimConfig, TrainerConfig
from ablations.device import Place
from ablations.model import Model
from ablations.optim import learning_rate
from data.ahead import Ahead
from data.loader import Loader


@dataclass
class TrainingState:
    """How far a run has come; all of it is in the checkpoint."""

    step: int = 0
    tokens: int = 0  # real targets learnt from
    seconds: float = 0.0  # spent in training, validations and saving left out
    best_nll: float = math.inf
    best_step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)  # what `watch` saw, with the step
    diverged: str | None = None


@dataclass
class Course:
    """One run on its way, from its checkpoint where `folder` holds one. How its steps are made is a learner's affair.

    `validate(model)` gives nats per token on the validation split, every `eval_every` steps and at the end, to every
    process the same; it must not draw from torch's global random stream, which belongs to dropout. `watch(model, step)`
    looks at the model before the first step, every `watch_every` steps and after the last, and must leave it as it was.
    """

    model: Model
    loader: Loader | Ahead
    validate: Callable[[nn.Module], float]
    optim: OptimConfig
    config: TrainerConfig
    place: Place
    folder: Path
    signature: str
    seed: int
    watch: Callable[[nn.Module, int], dict[str, Any]] | None = None
    watch_every: int | None = None

    def __post_init__(self) -> None:
        accumulate, world = self.config.accumulate, self.place.world
        if accumulate % world:
            raise ValueError(
                f"trainer.accumulate={accumulate} batches a step cannot be shared among {world} processes: "
                f"set trainer.accumulate={world}"
            )
        self.state, self.logged = TrainingState(), RunningSums(self.place)
        self._saved = self._checkpoint()
        if self._saved is not None:
            assert isinstance(self.loader, Loader)
            self.state = TrainingState(**self._saved["state"])
            self.loader.load_state_dict(self._saved.pop("loader"))  # first: it says what is wrong
            self.model.load_state_dict(self._saved.pop("model"))
            self.logged.resume(**self._saved.pop("logged"))
        self._begun: tuple[int, float, Reading] | None = None
        if self.place.device.type == "cuda" and isinstance(self.loader, Loader):
            self.loader = Ahead(self.loader, pinned=True)

    def _checkpoint(self) -> dict[str, Any] | None:
        """The newest that can be used, of every process the same one."""
        found: list[tuple[Path, dict[str, Any]]] = []

        def look() -> Path | None:
            found.extend(filter(None, [checkpoint.newest(self.folder, self.signature)]))
            return found[0][0] if found else None

        path = self.place.first(look)
        return found[0][1] if found else path and checkpoint.load(path, self.signature)

    @property
    def going(self) -> bool:
        """Whether there are steps left to make, or the line of the last one to end."""
        return (self.state.step < self.config.steps or self.amid_line) and self.state.diverged is None

    @property
    def amid_line(self) -> bool:
        """Whether steps were made since the last line of the curve ended."""
        return self.logged.steps > 0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return learning_rate(self.optim, step, self.config.steps)

    def rest_of_checkpoint(self) -> dict[str, Any] | None:
        """What the checkpoint holds for the learner: `optimizer` and `random_states`. Given away once."""
        rest, self._saved = self._saved, None
        return rest

    def log(self, seconds: float, wait: bool, valid_nll: float | None = None) -> list[dict[str, float]]:
        """Ends a line of the curve, `seconds` of training after the one before; returns the lines that are ready.

        `valid_nll` is what a validation at this step gave, if there was one.

        A line's numbers come from the device while it goes on, so a line is ready when the next one ends, or at once
        where we `wait`. With a line a run may turn out to have diverged.
        """
        ready = self.ready()
        if self.state.diverged is None:
            self._begun = self.state.step, seconds, self.logged.read()
        return ready + self.ready(valid_nll) if wait else ready

    def ready(self, valid_nll: float | None = None) -> list[dict[str, float]]:
        """The line that waits for its numbers, if there is one, now with them."""
        if self._begun is None:
            return []
        (step, seconds, reading), self._begun, state = self._begun, None, self.state
        numbers: dict[str, float] = {"step": step, "lr": self.rate(step), **reading.numbers()}
        state.seconds += seconds
        state.tokens += int(numbers.pop("tokens"))
        if not math.isfinite(numbers["loss"] + numbers["grad_norm"]):
            state.diverged = f"loss {numbers['loss']}, gradient norm {numbers['grad_norm']} by step {step}"
        elif valid_nll is not None:
            numbers["valid_nll"] = valid_nll
            if not math.isfinite(valid_nll):
                state.diverged = f"validation loss {valid_nll} at step {step}"
            elif valid_nll < state.best_nll:
                self._keep_best(valid_nll)
        numbers["tokens_per_second"] = state.tokens / state.seconds
        state.curve.append(numbers)
        return [{**numbers, "seconds": round(state.seconds, 1)}]

    def observe(self) -> None:
        """Has the model looked at, where somebody wants to."""
        if self.watch is not None and self.place.rank == 0:
            self.state.observations.append({"step": self.state.step, **self.watch(self.model, self.state.step)})

    def save(self, optimizer: dict[str, Any], random_states: list[list[Tensor]]) -> None:
        """Writes the checkpoint, with the state of the optimizer and of every process's random streams."""
        if self.place.rank != 0:
            return
        saved = {
            "signature": self.signature,
            "state": vars(self.state),
            "model": self.model.state_dict(),
            "optimizer": optimizer,
            "loader": self.loader.state_dict(),
            "logged": self.logged.state(),
            "random_states": random_states,
        }
        checkpoint.save_step(self.folder, self.state.step, saved)

    def select(self) -> None:
        """Leaves the selected weights in the model, at the end of a training."""
        state = self.state
        if self.config.select == "best" and state.best_step and state.diverged is None and self.place.rank == 0:
            file = checkpoint.best(self.folder, state.best_step)
            best = checkpoint.load(file, self.signature)
            if best is None:
                raise ValueError(f"{file} is gone, the weights to score: delete {self.folder} to start the run anew")
            self.model.load_state_dict(best["model"])

    def _keep_best(self, nll: float) -> None:
        self.state.best_nll, self.state.best_step = nll, self.state.step
        if self.config.select == "best" and self.place.rank == 0:
            best = {"signature": self.signature, "model": self.model.state_dict()}
            checkpoint.save(checkpoint.best(self.folder, self.state.step), best)


class RunningSums:
    """Sums since the last log line, kept on the device so that steps need not wait for it."""

    def __init__(self, place: Place):
        self.place = place
        self.clear()

    def state(self) -> dict[str, Tensor | int]:
        """What `resume` takes."""
        kept = {"loss": self.loss, "norm": self.norm, "highest": self.highest}
        return {**kept, "tokens": self.tokens, "steps": self.steps}

    def resume(self, loss: Tensor, norm: Tensor, highest: Tensor, tokens: int, steps: int) -> None:
        """Goes on with a line that was begun, by one process: of several the first one takes its sums."""
        self.loss, self.norm, self.highest = (number.to(self.place.device) for number in (loss, norm, highest))
        self.tokens, self.steps = tokens, steps
        if self.place.rank != 0:
            self.loss, self.tokens = torch.zeros_like(self.loss), 0

    def clear(self) -> None:
        """Starts a new line."""
        self.loss = torch.zeros((), device=self.place.device)
        self.norm = self.highest = self.loss
        self.tokens = self.steps = 0

    def add(self, loss: Tensor, norm: Tensor, tokens: int) -> None:
        """One more step."""
        self.loss, self.norm, self.tokens = self.loss + loss, norm, self.tokens + tokens
        self.steps += 1
        self.highest = torch.maximum(self.highest, norm)  # NaN above all

    def read(self) -> "Reading":
        """Asks for loss in nats per target over all processes, the last gradient norm before clipping, targets seen.

        Where any step's norm was not finite, that one is asked for: clipped, it may have left no other trace.
        """
        tokens = torch.full((), self.tokens, dtype=torch.float64, device=self.place.device)
        reading = Reading(
            torch.cat(
                [
                    self.place.all_reduce(torch.stack([self.loss.double(), tokens])),
                    torch.stack([self.norm, self.highest]),
                ]
            )
        )
        self.clear()
        return reading


class Reading:
    """Numbers on their way from the device, which goes on meanwhile."""

    def __init__(self, numbers: Tensor):
        self._numbers, self._arrived = numbers, None
        if numbers.device.type == "cuda":
            self._numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._numbers.copy_(numbers, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def numbers(self) -> dict[str, float]:
        """What was asked for, when it is there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        loss, tokens, norm, highest = self._numbers.tolist()
        return {"loss": loss / tokens, "grad_norm": norm if math.isfinite(highest) else highest, "tokens": tokens}
