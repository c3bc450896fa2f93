"""Rows: one per setting, one cell per score, the runs of several seeds in each cell."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ablations import record as records
from ablations import stats
from ablations.tables.baseline import opponents
from ablations.tables.columns import Column, Record, all_columns, headline_columns, score_of
from ablations.tables.evidence import Evidence, Pair, margins, weigh
from ablations.tables.mixtures import name_of, refuse_mixtures
from ablations.tables.settings import Setting, settings


@dataclass(frozen=True)
class Cell:
    """The runs of a setting in a column."""

    scores: dict[int, float]  # seed -> score
    missing: dict[str, int]  # "diverged", "failed" or "no score" -> number of runs
    summary: stats.Summary | None  # none: no run came to a score
    comparison: stats.Comparison | None = None  # with the baseline's row; headline columns only
    holm: float | None = None  # p adjusted for all comparisons of the headline table
    evidence: Evidence | None = None  # what the comparison comes to

    @property
    def lost(self) -> int:
        """Runs that trained to no score: those that are left are a selection."""
        return self.missing.get("diverged", 0) + self.missing.get("no score", 0)


@dataclass(frozen=True)
class Row:
    """A setting over all tasks. Costs are per task, as vocabulary and kind change them."""

    setting: Setting
    baseline: bool
    cells: dict[Column, Cell]
    projection_d2: dict[str, float]  # task -> weights of the Q, K and V maps, mean over sites, in d_model^2
    parameters: dict[str, int]
    cache_numbers: dict[str, int]  # remembered per token
    runs: list[Record] = field(default_factory=list, repr=False)
    against: Setting | None = None  # the baseline's row it is compared with

    def budget(self, task: str) -> dict[str, Any]:
        """What the model of a task costs, as far as it is on record."""
        return next((run["budget"] for run in self.runs if run["task"] == task and run.get("budget")), {})


def rows(runs: Iterable[Record], baseline: str = "separate") -> list[Row]:
    """The rows of a study from its records, the baseline's first.

    Each other row is compared with its opponent among the baseline's. Raises ValueError where two runs of one task
    are not comparable or nothing tells them apart, naming both and what differs.
    """
    once = {run["signature"]: run for run in runs}  # a run may be on record in several studies
    runs = sorted(once.values(), key=lambda run: (run["task"], records.label(run["config"]), run["signature"]))
    refuse_mixtures(runs)
    named = settings(runs)
    by_setting: dict[Setting, list[Record]] = defaultdict(list)
    for run in runs:
        by_setting[named[run["signature"]]].append(run)
    order = sorted(by_setting, key=lambda setting: (setting.strategy != baseline, setting.order()))
    by_task: dict[str, list[Column]] = defaultdict(list)
    for column in all_columns(runs):
        by_task[column.task].append(column)
    table = [_row(setting, by_setting[setting], by_task, baseline) for setting in order]
    return _compare(table, runs)


def compared(row: Row, base: Row, column: Column) -> stats.Comparison | None:
    """One row minus another by equal seed. None where they have none in common.

    Difference and interval are of the scores themselves, to be looked at; the exact test and the correlation are on the
    scale of all tests, of a perplexity its logarithm.
    """
    if column not in row.cells or column not in base.cells:
        return None
    scale = math.log if column.ratio else None
    return stats.compare(row.cells[column].scores, base.cells[column].scores, scale)


def _row(setting: Setting, runs: list[Record], columns: dict[str, list[Column]], baseline: str) -> Row:
    _refuse_twins(setting, runs)
    cells = {}
    for task in columns:
        mine = [run for run in runs if run["task"] == task]
        for column in columns[task] if mine else ():
            scores, missing = {}, Counter()
            for run in mine:
                score = score_of(run, column)
                if score is None:
                    missing["no score" if run["status"] == "finished" else run["status"]] += 1
                else:
                    scores[run["seed"]] = score
            summary = stats.summarize(list(scores.values())) if scores else None
            cells[column] = Cell(scores, dict(sorted(missing.items())), summary)

    def costs(key: str) -> dict[str, Any]:
        return {run["task"]: run["budget"][key] for run in runs if run.get("budget")}

    return Row(
        setting,
        setting.strategy == baseline,
        cells,
        costs("projection_d2"),
        costs("parameters"),
        costs("cache_numbers_per_token"),
        runs,
    )


def _refuse_twins(setting: Setting, runs: list[Record]) -> None:
    seen: dict[tuple[str, int], Record] = {}
    for run in runs:
        twin = seen.setdefault((run["task"], run["seed"]), run)
        if twin is not run:
            raise ValueError(
                f"{name_of(twin)} and {name_of(run)} are two runs of {setting} with seed {run['seed']}: "
                "a table cannot tell them apart; keep one of them, or give one a study.name of its own"
            )


def _compare(table: list[Row], runs: list[Record]) -> list[Row]:
    columns, against = headline_columns(runs), opponents(table)
    found: dict[tuple[int, Column], stats.Comparison | None] = {}
    pairs: dict[tuple[int, Column], Pair] = {}
    for index, (row, base) in enumerate(zip(table, against, strict=True)):
        for column in columns if base else ():
            if base is not None and column in row.cells and column in base.cells:
                own, other = row.cells[column], base.cells[column]
                found[index, column] = compared(row, base, column)
                pairs[index, column] = Pair(column, own.scores, other.scores, own.lost, other.lost)
    holm = stats.adjusted({key: comparison and comparison.p for key, comparison in found.items()})
    weighed = weigh(pairs, margins(runs, columns))
    result = []
    for index, (row, base) in enumerate(zip(table, against, strict=True)):
        changed = {
            column: replace(
                row.cells[column],
                comparison=found[index, column],
                holm=holm[index, column],
                evidence=weighed[index, column],
            )
            for column in columns
            if (index, column) in weighed
        }
        cells = {column: changed.get(column, cell) for column, cell in row.cells.items()}
        result.append(replace(row, cells=cells, against=base.setting if base else None))
    return result
