"""The cells of a sweep: every run it asks for, checked and signed before the first one starts."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import record
from ablations.compose import CONF, Tell, cell_named, compose_cells, to_plain, untold
from ablations.config import RunConfig, check
from ablations.files import read_yaml

Record = dict[str, Any]
MARGINS = {"translation": "margin_bleu", "language_modeling": "margin_perplexity"}


@dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    signature: str
    config: RunConfig
    plain: dict[str, Any]  # the same as a record keeps it
    overrides: list[str]

    @property
    def results(self) -> Path:
        """The results folder."""
        return Path(self.config.paths.results)

    @property
    def folder(self) -> Path:
        """Where it works."""
        return self.results / "work" / self.signature

    @property
    def label(self) -> str:
        """Task, strategy, seed."""
        return record.label(self.plain)


def plan(overrides: Sequence[str], tell: Tell = untold) -> list[Cell]:
    """The runs of `python train.py <overrides>`, each once, in order.

    Raises ValueError at the first mistake in any of them: a wrong choice or value, a study without its margin, a study
    whose name another file has, too, or whose records another version wrote.
    """
    checked = []  # all of them, before one asks the machine for its precision and waits for torch
    for own, config in compose_cells(overrides, tell):
        with cell_named(own):
            check(config)
            _check_margin(config)
        checked.append((own, config))
    found: dict[str, Cell] = {}
    for own, config in checked:
        with cell_named(own):
            cell = sign(config, own)
        found.setdefault(cell.signature, cell)
    cells = list(found.values())
    for cell in {cell.config.study.name: cell for cell in cells}.values():
        _check_study(cell)
    return cells


def sign(config: RunConfig, overrides: list[str]) -> Cell:
    """A run that is checked, with its precision settled for where it will run."""
    _settle_precision(config)
    plain = to_plain(config)
    return Cell(record.signature(plain), config, plain, overrides)


def _settle_precision(config: RunConfig) -> None:
    if config.trainer.precision != "auto":
        return
    if config.cluster.precision is not None:
        config.trainer.precision = config.cluster.precision
    elif config.cluster.kind == "slurm":
        raise ValueError(
            "trainer.precision=auto asks the machine, and this one cannot answer for the cluster's nodes: "
            "set cluster.precision=bf16 (or fp32)"
        )
    else:
        from ablations.device import settled_precision

        config.trainer.precision = settled_precision(config.trainer)


def _check_margin(config: RunConfig) -> None:
    study, margin = config.study, MARGINS.get(config.task.kind)
    if margin and study.question and not study.without_margin and getattr(study, margin) is None:
        raise ValueError(
            f"study {study.name} asks a question of {config.task.name} and says no margin: set study.{margin} "
            "before the first run, or say in study.without_margin why it needs none"
        )


def _check_study(cell: Cell) -> None:
    study = cell.config.study
    names: dict[str, str] = {}
    for file in sorted((CONF / "study").glob("*.yaml")):
        name = (read_yaml(file) or {}).get("study", {}).get("name")
        if name == study.name and names.setdefault(name, file.name) != file.name:
            raise ValueError(f"conf/study/{names[name]} and conf/study/{file.name} are both called {name}: rename one")
    record.briefs(cell.results, study.name)


def finished(cells: Sequence[Cell]) -> dict[str, Record]:
    """Signature -> record, of the cells that need not be run; `rerun` asks for all of them again.

    A record that the study has already is brief; that of another study is whole, to be copied.
    """
    wanted: dict[tuple[Path, str], list[str]] = defaultdict(list)
    for cell in cells:
        if not cell.config.rerun:
            wanted[cell.results, cell.config.study.name].append(cell.signature)
    found: dict[str, Record] = {}
    for (results, study), signatures in wanted.items():
        for signature, (file, brief) in record.answers(results, signatures, study).items():
            whole = brief["study"] != study
            found[signature] = {**record.load(file), "study": brief["study"]} if whole else brief
    return found
