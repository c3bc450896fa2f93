"""Training one model: steps, validations, checkpoints, exact resume. It knows neither tasks nor strategies."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations import checkpoint
from ablations.config import OptimConfig, TrainerConfig
from ablations.device import Place
from ablations.optim import learning_rate, optimizer
from data.batch import IGNORE, Batch
from data.loader import Loader
from models.init import stream


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


class Trainer:
    """Fits one model, from its checkpoint where `folder` holds one.

    `validate(model)` gives nats per token on the validation split, every `eval_every` steps and at the end, to every
    process the same; it must not draw from torch's global random stream, which belongs to dropout. `watch(model, step)`
    looks at the model before the first step, every `watch_every` steps and after the last, and must leave it as it was.
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Loader,
        validate: Callable[[nn.Module], float],
        optim: OptimConfig,
        config: TrainerConfig,
        place: Place,
        folder: Path,
        signature: str,
        seed: int,
        watch: Callable[[nn.Module, int], dict[str, Any]] | None = None,
        watch_every: int | None = None,
    ):
        if config.accumulate % place.world:
            raise ValueError(
                f"trainer.accumulate={config.accumulate} batches a step cannot be shared among {place.world} "
                f"processes: set trainer.accumulate={place.world}"
            )
        self.model, self.loader, self.validate = model, loader, validate
        self.optim_config, self.config, self.place = optim, config, place
        self.folder, self.signature = folder, signature
        self.watch, self.watch_every = watch, watch_every
        self.optimizer = optimizer(model, optim)
        self.data_parallel = place.data_parallel(model)
        self.forward = torch.compile(self.data_parallel) if config.compile else self.data_parallel
        self.state, self.logged = TrainingState(), RunningSums(place)
        # Dropout has a stream of its own, one per process; data order and initial weights do not draw from it.
        torch.manual_seed(stream(seed, f"dropout/{place.rank}"))
        self._restore()

    def fit(
        self, report: Callable[[dict[str, float]], None], asked_to_stop: Callable[[], bool] = lambda: False
    ) -> TrainingState:
        """Trains to the last step and leaves the selected weights in the model; `report` is given every log line.

        Returns early, its state saved, when asked to stop; the curve of who goes on from there shows no trace of it.
        """
        config, state = self.config, self.state
        if state.step == 0:
            self._observe()
        logged, since = self.logged, time.perf_counter()
        while state.step < config.steps and state.diverged is None:
            step = state.step + 1
            lr = learning_rate(self.optim_config, step, config.steps)
            logged.add(*self._step(self.loader.take(config.accumulate), lr))
            state.step = step
            validate = step % config.eval_every == 0 or step == config.steps
            look = self.watch is not None and (step == config.steps or step % (self.watch_every or config.steps) == 0)
            save = validate or look or step % config.checkpoint_every == 0
            if not (save or step % config.log_every == 0):
                if self.place.world == 1 and asked_to_stop():
                    state.seconds += time.perf_counter() - since
                    self._save()
                    return state
                continue
            numbers = {"step": step, "lr": lr, **logged.read()}
            state.seconds += time.perf_counter() - since
            state.tokens += int(numbers.pop("tokens"))
            if not math.isfinite(numbers["loss"] + numbers["grad_norm"]):
                state.diverged = f"loss {numbers['loss']}, gradient norm {numbers['grad_norm']} by step {step}"
            elif validate:
                numbers["valid_nll"] = self._validate(step)
                if not math.isfinite(numbers["valid_nll"]):
                    state.diverged = f"validation loss {numbers['valid_nll']} at step {step}"
            numbers["tokens_per_second"] = state.tokens / state.seconds
            state.curve.append(numbers)
            report({**numbers, "seconds": round(state.seconds, 1)})
            if look and state.diverged is None:
                self._observe()
            stop = self._agreed(asked_to_stop()) and step < config.steps
            if save or stop:
                self._save()
            if stop:
                return state
            since = time.perf_counter()
        if config.select == "best" and state.best_step and state.diverged is None and self.place.rank == 0:
            best = checkpoint.load(self.folder / "best.pt", self.signature)
            if best is None:
                raise ValueError(f"{self.folder / 'best.pt'} is gone: delete checkpoint.pt beside it to start anew")
            self.model.load_state_dict(best["model"])
        return state

    def _step(self, batches: list[Batch], lr: float) -> tuple[Tensor, Tensor, int]:
        """One optimizer step over all micro-batches of all processes: (summed loss, gradient norm, own targets).

        Every target weighs the same, whichever micro-batch or process it came in: accumulation equals one big batch.
        """
        self.model.train()
        place, tokens = self.place, sum(batch.tokens for batch in batches)
        total = place.all_reduce(torch.tensor(float(tokens), device=place.device))
        losses = torch.zeros((), device=place.device)
        for i, batch in enumerate(batches):
            batch = batch.to(place.device)
            with place.gradient_sync(self.data_parallel, now=i + 1 == len(batches)):
                with place.autocast():
                    logits = self.forward(**batch.inputs)
                loss, smoothed = summed_losses(logits, batch.targets, self.optim_config.label_smoothing)
                (smoothed * (place.world / total)).backward()
            losses += loss.detach()
        clip = self.optim_config.clip
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), math.inf if clip is None else clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return losses, norm, tokens

    def _agreed(self, stop: bool) -> bool:
        """Whether any process was asked to stop; they ask each other where they log, since all must leave together."""
        return self.place.all_reduce(torch.tensor(float(stop), device=self.place.device)).item() > 0

    def _observe(self) -> None:
        if self.watch is not None and self.place.rank == 0:
            self.state.observations.append({"step": self.state.step, **self.watch(self.model, self.state.step)})

    def _validate(self, step: int) -> float:
        with self.place.autocast():
            nll = self.validate(self.model)
        if nll < self.state.best_nll:
            self.state.best_nll, self.state.best_step = nll, step
            if self.config.select == "best" and self.place.rank == 0:
                best = {"signature": self.signature, "model": self.model.state_dict()}
                checkpoint.save(self.folder / "best.pt", best)
        return nll

    def _save(self) -> None:
        random_states = self.place.all_gather([torch.get_rng_state(), *self._cuda_random_state()])
        if self.place.rank != 0:
            return
        saved = {
            "signature": self.signature,
            "state": vars(self.state),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "logged": self.logged.state(),
            "random_states": random_states,
        }
        checkpoint.save(self.folder / "checkpoint.pt", saved)

    def _cuda_random_state(self) -> list[Tensor]:
        return [torch.cuda.get_rng_state()] if self.place.device.type == "cuda" else []

    def _restore(self) -> None:
        saved = checkpoint.load(self.folder / "checkpoint.pt", self.signature)
        if saved is None:
            return
        self.state = TrainingState(**saved["state"])
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.loader.load_state_dict(saved["loader"])
        self.logged.resume(**saved["logged"])
        if self.place.rank >= len(saved["random_states"]):
            return  # a process that was not there before begins its own stream
        cpu, *cuda = saved["random_states"][self.place.rank]
        torch.set_rng_state(cpu)
        if cuda and self.place.device.type == "cuda":
            torch.cuda.set_rng_state(cuda[0])


class RunningSums:
    """Sums since the last log line, kept on the device so that steps need not wait for it."""

    def __init__(self, place: Place):
        self.place = place
        self.clear()

    def state(self) -> dict[str, Tensor | int]:
        """What `resume` takes."""
        return {"loss": self.loss, "norm": self.norm, "tokens": self.tokens}

    def resume(self, loss: Tensor, norm: Tensor, tokens: int) -> None:
        """Goes on with a line that was begun."""
        self.loss, self.norm, self.tokens = loss.to(self.place.device), norm.to(self.place.device), tokens

    def clear(self) -> None:
        """Starts a new line."""
        self.loss = torch.zeros((), device=self.place.device)
        self.norm, self.tokens = self.loss, 0

    def add(self, loss: Tensor, norm: Tensor, tokens: int) -> None:
        """One more step."""
        self.loss, self.norm, self.tokens = self.loss + loss, norm, self.tokens + tokens

    def read(self) -> dict[str, float]:
        """Loss in nats per target over all processes, the last gradient norm before clipping, targets seen."""
        tokens = self.loss.new_tensor(self.tokens, dtype=torch.float64)
        sums = self.place.all_reduce(torch.stack([self.loss.double(), tokens])).tolist()
        numbers = {"loss": sums[0] / sums[1], "grad_norm": self.norm.item(), "tokens": sums[1]}
        self.clear()
        return numbers


def summed_losses(logits_BLV: Tensor, targets_BL: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy summed over real targets, plain and label-smoothed (Szegedy et al. 2016), in float32.

    Logits [..., V], targets [...]: [B, L] tokens or [B] classes.
    """
    logits, targets = logits_BLV.flatten(0, -2).float(), targets_BL.flatten()
    if smoothing == 0.0:
        loss = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
        return loss, loss
    log_p = logits.log_softmax(-1)
    loss = F.nll_loss(log_p, targets, ignore_index=IGNORE, reduction="sum")
    uniform = -log_p.mean(-1).masked_fill(targets == IGNORE, 0.0).sum()
    return loss, (1 - smoothing) * loss + smoothing * uniform
