"""Training one model: steps, validations, checkpoints, exact resume. It knows neither tasks nor strategies."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

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
class Progressed:
    """How far a run has come; all of it is in the checkpoint."""

    step: int = 0
    tokens: int = 0  # real targets learnt from
    seconds: float = 0.0  # spent in training, validations and saving left out
    best_nll: float = math.inf
    best_step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    diverged: str | None = None
    precision: str | None = None  # the one it began with: `auto` measures, and may find another when it goes on


class Trainer:
    """Fits one model, from its checkpoint where `folder` holds one.

    `validate(model)` gives nats per token on the validation split, every `eval_every` steps and at the end, to every
    process the same; it must not draw from torch's global random stream, which belongs to dropout.
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
    ):
        if config.accumulate % place.world:
            raise ValueError(
                f"trainer.accumulate={config.accumulate} batches a step cannot be shared among {place.world} "
                f"processes: set trainer.accumulate={place.world}"
            )
        self.model, self.loader, self.validate = model, loader, validate
        self.optim_config, self.config, self.place = optim, config, place
        self.folder, self.signature = folder, signature
        self.optimizer = optimizer(model, optim)
        self.spread = place.spread(model)
        self.forward = torch.compile(self.spread) if config.compile else self.spread
        self.so_far = Progressed()
        # Dropout has a stream of its own, one per process; data order and initial weights do not draw from it.
        torch.manual_seed(stream(seed, f"dropout/{place.rank}"))
        self._restore()
        self.so_far.precision = self.so_far.precision or place.precision
        self.place = replace(place, precision=self.so_far.precision)

    def fit(self, report: Callable[[dict[str, float]], None]) -> Progressed:
        """Trains to the last step and leaves the selected weights in the model; `report` is given every log line."""
        config, so_far = self.config, self.so_far
        logged, since = Logged(self.place), time.perf_counter()
        while so_far.step < config.steps and so_far.diverged is None:
            step = so_far.step + 1
            lr = learning_rate(self.optim_config, step, config.steps)
            logged.add(*self._step(self.loader.take(config.accumulate), lr))
            so_far.step = step
            validate = step % config.eval_every == 0 or step == config.steps
            save = validate or step % config.checkpoint_every == 0
            if not (save or step % config.log_every == 0):
                continue
            numbers = {"step": step, "lr": lr, **logged.read()}
            so_far.seconds += time.perf_counter() - since
            so_far.tokens += int(numbers.pop("tokens"))
            if not math.isfinite(numbers["loss"] + numbers["grad_norm"]):
                so_far.diverged = f"loss {numbers['loss']}, gradient norm {numbers['grad_norm']} by step {step}"
            elif validate:
                numbers["valid_nll"] = self._validate(step)
            numbers["tokens_per_second"] = so_far.tokens / so_far.seconds
            so_far.curve.append(numbers)
            report(numbers)
            if save:
                self._save()
            since = time.perf_counter()
        if config.select == "best" and so_far.best_step and so_far.diverged is None and self.place.rank == 0:
            best = checkpoint.load(self.folder / "best.pt", None)
            if best is None:
                raise ValueError(f"{self.folder / 'best.pt'} is gone: delete checkpoint.pt beside it to start anew")
            self.model.load_state_dict(best["model"])
        return so_far

    def _step(self, batches: list[Batch], lr: float) -> tuple[Tensor, Tensor, int]:
        """One optimizer step over all micro-batches of all processes: (summed loss, gradient norm, own targets).

        Every target weighs the same, whichever micro-batch or process it came in: accumulation equals one big batch.
        """
        self.model.train()
        place, tokens = self.place, sum(batch.tokens for batch in batches)
        total = place.total(torch.tensor(float(tokens), device=place.device))
        losses = torch.zeros((), device=place.device)
        for i, batch in enumerate(batches):
            batch = batch.to(place.device)
            with place.exchange(self.spread, now=i + 1 == len(batches)):
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

    def _validate(self, step: int) -> float:
        with self.place.autocast():
            nll = self.validate(self.model)
        if nll < self.so_far.best_nll:
            self.so_far.best_nll, self.so_far.best_step = nll, step
            if self.config.select == "best" and self.place.rank == 0:
                checkpoint.save(self.folder / "best.pt", {"model": self.model.state_dict()})
        return nll

    def _save(self) -> None:
        random_states = self.place.gather([torch.get_rng_state(), *self._cuda_random_state()])
        if self.place.rank != 0:
            return
        state = {
            "signature": self.signature,
            "so_far": vars(self.so_far),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "random_states": random_states,
        }
        checkpoint.save(self.folder / "checkpoint.pt", state)

    def _cuda_random_state(self) -> list[Tensor]:
        return [torch.cuda.get_rng_state()] if self.place.device.type == "cuda" else []

    def _restore(self) -> None:
        state = checkpoint.load(self.folder / "checkpoint.pt", self.signature)
        if state is None:
            return
        self.so_far = Progressed(**state["so_far"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        if self.place.rank >= len(state["random_states"]):
            return  # a process that was not there before begins its own stream
        cpu, *cuda = state["random_states"][self.place.rank]
        torch.set_rng_state(cpu)
        if cuda and self.place.device.type == "cuda":
            torch.cuda.set_rng_state(cuda[0])


class Logged:
    """Sums since the last log line, kept on the device so that steps need not wait for it."""

    def __init__(self, place: Place):
        self.place = place
        self.clear()

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
        sums = self.place.total(torch.stack([self.loss.double(), tokens])).tolist()
        numbers = {"loss": sums[0] / sums[1], "grad_norm": self.norm.item(), "tokens": sums[1]}
        self.clear()
        return numbers


def summed_losses(logits_BLV: Tensor, targets_BL: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy summed over real targets, plain and label-smoothed (Szegedy et al. 2016), in float32."""
    logits, targets = logits_BLV.flatten(0, 1).float(), targets_BL.flatten()
    if smoothing == 0.0:
        loss = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
        return loss, loss
    log_p = logits.log_softmax(-1)
    loss = F.nll_loss(log_p, targets, ignore_index=IGNORE, reduction="sum")
    uniform = -log_p.mean(-1).masked_fill(targets == IGNORE, 0.0).sum()
    return loss, (1 - smoothing) * loss + smoothing * uniform
