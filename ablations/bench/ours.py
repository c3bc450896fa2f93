"""Our own training as it runs, ready to be timed."""

import dataclasses
from pathlib import Path

from ablations.bench.loop import Loop
from ablations.bench.timing import Work
from ablations.compose import compose
from ablations.config import RunConfig, check
from ablations.course import Course
from ablations.device import find_place
from ablations.learner import Alone
from ablations.model import build, costs
from ablations.trainer import Trainer
from data.loader import Loader
from data.prepare import prepare
from data.prepared import Prepared

NEVER = 10**9  # steps


def configured(words: list[str], device: str, corpora: str | None, cache: str) -> tuple[RunConfig, Prepared]:
    """The run that `python train.py WORDS` would be, on this device, with one thread, and its text."""
    places = [f"paths.corpora={corpora or 'null'}", f"paths.cache={cache}"]
    config = compose([*words, *places, f"trainer.device={device}", "trainer.threads=1", "tracking=none"])
    check(config)
    config.trainer.precision = find_place(config.trainer).precision
    return config, prepare(config.task, config.paths.corpora, config.paths.cache)


def parameters(config: RunConfig, prepared: Prepared) -> int:
    """How many the run's model has."""
    return costs(config, prepared).parameters


def training(config: RunConfig, prepared: Prepared, folder: Path) -> Loop:
    """Training from the first step on, batches, logging, clipping and all, without validations and checkpoints."""
    course = new_course(config, prepared, folder)
    trainer = Trainer([course], Alone(course))
    return Loop(lambda between: trainer.fit([lambda numbers: None], between))


def new_course(config: RunConfig, prepared: Prepared, folder: Path) -> Course:
    """A run before its first step, without an end."""
    place = find_place(config.trainer)
    return Course(
        build(config, prepared).to(place.device),
        Loader(prepared, config.trainer.batch_tokens, config.task.context, config.seed),
        lambda model: 0.0,
        config.optim,
        dataclasses.replace(config.trainer, steps=NEVER, eval_every=NEVER, checkpoint_every=NEVER),
        place,
        folder,
        signature="bench",
        seed=config.seed,
    )


def in_targets(config: RunConfig, prepared: Prepared, loop: Loop) -> Work:
    """The steps of `training` counted in real targets, by a second loader that goes through the same batches."""
    loader = Loader(prepared, config.trainer.batch_tokens, config.task.context, config.seed)

    def targets(steps: int) -> float:
        return float(sum(batch.tokens for batch in loader.take(steps * config.trainer.accumulate)))

    return Work(loop.steps, targets)
