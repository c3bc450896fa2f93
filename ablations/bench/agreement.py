"""What the speed-ups of training change in its outcome: 400 steps with and without each."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from ablations.bench import ours
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.speedups import QUICK, Switch, switches
from ablations.config import RunConfig
from ablations.course import Course
from ablations.device import find_place
from ablations.evaluator import nats_per_token
from ablations.learner import Alone
from ablations.model import build
from ablations.stack.learner import Stack
from ablations.trainer import Trainer
from data.loader import Loader
from data.prepared import Prepared

WORDS = {
    "translator, dropout 0.1": ["task=toy_translation", "trainer=toy", "optim.label_smoothing=0.1"],
    "language model, no dropout": ["trainer.batch_tokens=1024", "task.context=64", "model.dropout=0"],
}
OTHER_DATA = "batches of like length"  # this one changes what is learnt from, and is no matter of rounding


def agreement(setup: Setup) -> Iterator[Table]:
    """With dropout, where draws differ, too, and without, where nothing but rounding may."""
    small = [*QUICK, "task.corpus.options={train: 200, valid: 20, test: 20}"] if setup.quick else []
    for title, words in list(WORDS.items())[: 1 if setup.quick else None]:
        yield _compared(setup, title, [*words, "model=tiny", "trainer.precision=fp32", *small])


def _compared(setup: Setup, title: str, words: list[str]) -> Table:
    steps = 4 if setup.quick else 400
    config, prepared = ours.configured(words, setup.device, setup.corpora, setup.cache)
    numbers = {"steps": steps, "eval_every": steps, "log_every": steps, "checkpoint_every": 10 * steps}
    config.trainer = dataclasses.replace(config.trainer, **numbers)
    [first] = _validation_losses(config, prepared, [0])
    [second] = _validation_losses(config, prepared, [1])
    table = Table(
        f"{title}: nats per token on the validation split after {steps} steps",
        ["what", "nats", "minus all on"],
        [["all on, seed 0", f"{first:.6f}", ""], ["all on, seed 1", f"{second:.6f}", f"{second - first:+.6f}"]],
    )
    found = {"seeds 0 and 1 stacked": _validation_losses(config, prepared, [0, 1])[0]}
    found |= {
        f"without {label}": _validation_losses(config, prepared, [0], switch)[0]
        for label, switch in switches(setup, config).items()
        if label not in ("nothing", OTHER_DATA)
    }
    found["recomputed"] = _validation_losses(config, prepared, [0], Switch(trainer={"recompute": True}))[0]
    found["bf16"] = _validation_losses(config, prepared, [0], Switch(trainer={"precision": "bf16"}))[0]
    table.rows += [[f"{label}, seed 0", f"{nats:.6f}", f"{nats - first:+.6f}"] for label, nats in found.items()]
    largest = max(abs(nats - first) for nats in found.values())
    table.notes.append(f"largest change {largest:.6f}; between two seeds {abs(second - first):.6f}")
    return table


def _validation_losses(
    config: RunConfig, prepared: Prepared, seeds: list[int], switch: Switch | None = None
) -> list[float]:
    """At the end of a training of each seed, together where they are several."""
    switch = switch or Switch()
    trainer = dataclasses.replace(config.trainer, **switch.trainer)
    with tempfile.TemporaryDirectory() as folder, switch.plain():
        courses = [
            _course(dataclasses.replace(config, seed=seed, trainer=trainer), prepared, Path(folder) / str(seed))
            for seed in seeds
        ]
        learner = Stack(courses) if len(courses) > 1 else Alone(courses[0])
        if isinstance(learner, Alone) and not switch.fused_adamw:
            learner.optimizer = torch.optim.AdamW(learner.optimizer.param_groups, fused=False)
        Trainer(courses, learner).fit([lambda numbers: None] * len(courses))
    return [course.state.curve[-1]["valid_nll"] for course in courses]


def _course(config: RunConfig, prepared: Prepared, folder: Path) -> Course:
    place = find_place(config.trainer)
    return Course(
        build(config, prepared).to(place.device),
        Loader(prepared, config.trainer.batch_tokens, config.task.context, config.seed),
        lambda model: nats_per_token(model, prepared, "valid", config)[0],
        config.optim,
        config.trainer,
        place,
        folder,
        signature=f"seed {config.seed}",
        seed=config.seed,
    )
