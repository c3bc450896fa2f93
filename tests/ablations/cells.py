"""The smallest runs that are still whole: short generated strings, some thousand parameters, greedy search."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ablations import record, run
from ablations.compose import compose
from ablations.config import RunConfig

REVERSE = (
    "task=reverse",
    "task.context=8",
    "task.corpus.options={train: 200, valid: 20, test: 20, symbols: 6, shortest: 3, longest: 6, long: 0}",
    "task.test=[test]",
)
SIZES = (
    "model=tiny",
    "model.d_model=32",
    "model.d_ff=64",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "trainer=smoke",
    "trainer.batch_tokens=64",
    "trainer.precision=fp32",
    "trainer.device=cpu",
    "evaluation.beam=1",
)


def asked(cache: Path, results: Path, *overrides: str, task: Sequence[str] = REVERSE) -> list[str]:
    """What a person would type for such a run after `python train.py`."""
    return [*task, *SIZES, f"paths.cache={cache}", f"paths.results={results}", *overrides]


def config(cache: Path, results: Path, *overrides: str, task: Sequence[str] = REVERSE) -> RunConfig:
    return compose(asked(cache, results, *overrides, task=task))


def do(cache: Path, results: Path, *overrides: str, task: Sequence[str] = REVERSE) -> dict:
    """Runs one cell and gives its record."""
    run.run(config(cache, results, *overrides, task=task), list(overrides))
    [found] = record.load_all(results)
    return found


def weights(results: Path) -> dict[str, torch.Tensor]:
    """What the only run under `results` has learnt."""
    [file] = results.glob("work/*/model.pt")
    return torch.load(file, weights_only=True)["model"]


def timeless(curve: list[dict]) -> list[dict]:
    """A curve without what a clock says."""
    return [{name: value for name, value in line.items() if name != "tokens_per_second"} for line in curve]
