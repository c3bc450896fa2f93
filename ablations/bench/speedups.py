"""The speed-ups of the training step, each switched off in turn, and seeds stacked against one after the other."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.bench import ours
from ablations.bench.kernels import fused_attend
from ablations.bench.report import Table
from ablations.bench.rivals.translator import padding
from ablations.bench.setup import Setup
from ablations.bench.timing import Work, interleaved, ratio, spread
from ablations.config import RunConfig
from ablations.course import Course
from ablations.learner import Alone, Learner
from ablations.stack.learner import Stack
from data import pairs
from models import attention, dropout, loss

TRANSLATOR = ["task=multi30k_en_de", "model=small", "optim=translation", "trainer=multi30k"]
CHARACTERS = ["task=tiny_shakespeare", "model=nanogpt_cpu", "optim=nanogpt", "position=learned", "trainer=nanogpt_cpu"]
QUICK = ["model.d_model=16", "model.d_ff=32", "model.encoder_layers=1", "model.decoder_layers=1"]
SEEDS = 8
STACKS = {  # title -> overrides, and how many times as fast stacked seeds should be
    "64 wide, bf16": (["model.d_model=64", "model.d_ff=256", "trainer.precision=bf16"], 2.0),
    "64 wide, fp32": (["model.d_model=64", "model.d_ff=256"], None),
    "32 wide, fp32": (["model.d_model=32", "model.d_ff=128"], 3.0),
}


def speedups(setup: Setup) -> Iterator[Table]:
    """A translator's and a language model's step; then stacks."""
    precision = f"trainer.precision={'bf16' if setup.device == 'cuda' else 'fp32'}"
    task = ["task=toy_translation", *QUICK] if setup.quick else []
    yield _switched_off(setup, "translator", [*TRANSLATOR, *task, precision])
    words = [*CHARACTERS, *(["task=python_docs", *QUICK] if setup.quick else []), "task.context=64", precision]
    yield _switched_off(setup, "language model", [*words, "model.dropout=0.2", "model.attention_dropout=0.2"])
    for title, (overrides, bar) in list(STACKS.items())[: 1 if setup.quick else None]:
        yield _stacked(setup, title, [*words, "trainer.precision=fp32", *overrides], bar)


def _switched_off(setup: Setup, title: str, words: list[str]) -> Table:
    config, prepared = ours.configured(words, setup.device, setup.corpora, setup.cache)
    table = Table(
        f"Training a {title}: {config.model.name}, {config.task.name}, {config.trainer.precision}",
        ["switched off", "ms for 1,000 real targets", "times all on", "padding"],
    )
    shares, works = {}, {}
    with tempfile.TemporaryDirectory() as name:
        for label, switch in switches(setup, config).items():
            with switch.plain():
                changed = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, **switch.trainer))
                course = ours.new_course(changed, prepared, Path(name) / label)
                learner = Alone(course)
                translates = config.task.kind == "translation"
                shares[label] = padding(config, prepared, 10 if setup.quick else 200) if translates else 0.0
            if not switch.fused_adamw:
                learner.optimizer = torch.optim.AdamW(learner.optimizer.param_groups, fused=False)
            works[label] = _stepping([course], learner, switch.plain)
        table.samples = interleaved(works, setup.rounds, setup.now, 2 * setup.seconds)
    for label, seconds in table.samples.items():
        times = str(ratio(table.samples, label, "nothing"))
        table.rows.append([label, f"{1e6 * spread(seconds).median:.1f}", times, f"{100 * shares[label]:.1f} %"])
    table.notes.append("times: how much longer a real target takes without it; seconds of all threads together")
    return table


@dataclasses.dataclass(frozen=True)
class Switch:
    """What is different while one speed-up is off."""

    plain: Callable[[], AbstractContextManager] = nullcontext
    trainer: dict[str, Any] = dataclasses.field(default_factory=dict)
    fused_adamw: bool = True


def switches(setup: Setup, config: RunConfig) -> dict[str, Switch]:
    """By what is off."""
    found = {
        "nothing": Switch(),
        "loss in chunks": Switch(lambda: mock.patch.object(loss, "summed_losses", _loss_of_all_logits)),
        "fused AdamW": Switch(fused_adamw=False),
        "attention: by definition": Switch(
            lambda: mock.patch.object(attention, "attend", attention.attend_written_out)
        ),
        "attention: torch's kernel": Switch(lambda: mock.patch.object(attention, "attend", fused_attend)),
        "own random numbers for dropout": Switch(lambda: mock.patch.object(dropout.Dropout, "mask", _torch_mask)),
    }
    if config.task.kind == "translation":
        found["batches of like length"] = Switch(lambda: mock.patch.object(pairs, "_by_length", _in_no_order))
    if setup.device == "cpu":
        found["one thread (two instead)"] = Switch(_two_threads)
    if setup.device == "cuda" and config.task.kind == "language_modeling":  # one shape: one compilation
        found["nothing, and compiled"] = Switch(trainer={"compile": True})
    return found


def _loss_of_all_logits(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    return loss.losses_of_logits(F.linear(states, weight, bias), targets, smoothing)


def _torch_mask(layer: dropout.Dropout, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    return F.dropout(torch.ones(shape, dtype=dtype), layer.p)


def _in_no_order(lengths: np.ndarray) -> np.ndarray:
    return np.arange(len(lengths))


@contextmanager
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _stepping(
    courses: list[Course], learner: Learner, plain: Callable[[], AbstractContextManager] = nullcontext
) -> Work:
    """Steps of all the courses; a real target the unit."""
    targets: list[int] = []

    def run(count: int) -> None:
        with plain():
            for _ in range(count):
                batches = [course.loader.take(course.config.accumulate) for course in courses]
                rates = [course.rate(course.state.step + 1) for course in courses]
                targets.append(sum(tokens for _, _, tokens in learner.step(batches, rates)))

    return Work(run, lambda count: float(sum(targets[-count:])))


def _stacked(setup: Setup, title: str, words: list[str], bar: float | None) -> Table:
    """Seeds as one batched model, and one after the other."""
    count = 2 if setup.quick else SEEDS
    table = Table(f"{count} seeds of a language model: {title}", ["how", "ms a seed's step", "times stacked", "n"])
    with tempfile.TemporaryDirectory() as name:
        config, prepared = ours.configured(words, setup.device, setup.corpora, setup.cache)

        def course(kind: str, seed: int) -> Course:
            return ours.new_course(dataclasses.replace(config, seed=seed), prepared, Path(name) / kind / str(seed))

        together = [course("stacked", seed) for seed in range(count)]
        apart = [course("in turn", seed) for seed in range(count)]
        works = {"stacked": _stepping(together, Stack(together)), "in turn": _in_turn(apart)}
        table.samples = interleaved(works, setup.rounds, setup.now, 2 * setup.seconds)
    tokens = config.trainer.batch_tokens // config.task.context * config.task.context
    for label, seconds in table.samples.items():
        times = ratio(table.samples, label, "stacked")
        table.rows.append([label, f"{1000 * tokens * spread(seconds).median:.2f}", str(times), str(times.n)])
    if bar is not None:
        table.notes.append(f"bar: in turn {bar} times stacked")
    return table


def _in_turn(courses: list[Course]) -> Work:
    works = [_stepping([course], Alone(course)) for course in courses]

    def run(count: int) -> None:
        for work in works:
            work.run(count)

    return Work(run, lambda count: sum(work.units(count) for work in works))
