"""The table of all runs: what each was, how it ended, what it cost, and the command that makes it again."""

from dataclasses import dataclass
from typing import Any

from ablations import record as records
from ablations import tables
from ablations.report.parts import Record, Study
from ablations.report.safe import significant
from ablations.writers.grid import NOTHING


@dataclass(frozen=True)
class Cell:
    """What is read and what is sorted by: a number, or a text where that is none."""

    text: str
    key: float | str | None = None  # none: last, whatever the order


@dataclass(frozen=True)
class Line:
    """A run."""

    id: str
    study: str
    task: str
    strategy: str
    status: str
    cells: list[Cell]
    command: str


@dataclass(frozen=True)
class Column:
    """A heading; `number` columns stand to the right."""

    title: str
    number: bool = False


def table(studies: list[Study]) -> tuple[list[Column], list[Line]]:
    """Headings and lines; scores are those of the first test split, or of validation where a task has no test."""
    present = {score for study in studies for run in study.runs for score in _scores(run)}
    shown = [
        score for score in tables.SCORES if score in present and score not in ("word_perplexity", "byte_perplexity")
    ]
    columns = [Column(title) for title in ("study", "task", "strategy", "what differs")]
    columns += [Column("seed", True), Column("status")]
    columns += [Column(tables.SCORES[score][0], True) for score in shown]
    columns += [Column(title, True) for title in ("parameters", "cache per token", "seconds")]
    return columns, [_line(study, run, shown) for study in studies for run in sorted(study.runs, key=_order(study))]


def _order(study: Study) -> Any:
    """By task, setting in the order of the figures, and seed."""
    groups = [list(runs.values()) for runs in study.by_task.values()]
    place = {run["signature"]: at for runs in groups for at, group in enumerate(runs) for run in group}
    return lambda run: (run["task"], place[run["signature"]], run["seed"])


def _line(study: Study, run: Record, shown: list[str]) -> Line:
    name = study.names[run["signature"]]
    strategy = records.strategy_name(run["sites"])
    differs = name.removeprefix(strategy).removeprefix(", ")
    scores = _scores(run)
    status = f"{run['status']}: {run['reason']}" if run.get("reason") else run["status"]
    budget = run.get("budget") or {}
    cells = [Cell(text, text.lower()) for text in (study.name, run["task"], strategy)]
    cells += [Cell(differs or NOTHING, differs.lower() or None), _number(run["seed"], "d")]
    cells += [Cell(status, run["status"])]
    cells += [_number(scores.get(score), f".{tables.SCORES[score][1]}f") for score in shown]
    cells += [_number(budget.get("parameters"), ","), _number(budget.get("cache_numbers_per_token"), ",")]
    cells += [_number(seconds(run), ",.0f")]
    command = run.get("command") or ""
    return Line(run["signature"], study.name, run["task"], strategy, run["status"], cells, command)


def _number(value: Any, form: str) -> Cell:
    return Cell(NOTHING) if value is None else Cell(f"{value:{form}}", significant(value, 8))


def _scores(run: Record) -> dict[str, Any]:
    split = (*run["config"]["task"]["test"], "valid")[0]
    return (run.get("scores") or {}).get(split) or {}


def seconds(run: Record) -> float | None:
    """How long a run took with evaluation and analyses, or its training where nothing else is on record."""
    own = run.get("seconds")
    return own if own is not None else (run.get("training") or {}).get("seconds")
