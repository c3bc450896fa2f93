"""What the figures of one task of a study are made of: its runs by setting, each setting's look, the rows of tables."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablations import tables
from ablations.figures.labels import short_labels
from ablations.figures.style import Look, looks
from ablations.tables import Column, Row, Setting

Record = dict[str, Any]
Runs = dict[str, list[Record]]  # setting -> its runs, the baseline's first


class NoTableError(ValueError):
    """Runs cannot stand in one table, so that no figure can compare them."""


@dataclass(frozen=True)
class Material:
    """One task of a study."""

    task: str
    study: list[Record]  # every run of every task, whatever became of it
    runs: Runs  # of this task, finished
    looks: dict[str, Look]
    baseline: str  # the strategy that others are compared with; empty where the runs name several

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The tables' rows of this task by setting. Raises NoTableError where runs cannot stand in one table."""
        try:
            found = tables.rows(self.study, tables.baseline_of(self.study))
        except ValueError as error:
            raise NoTableError(str(error)) from error
        return {label: row for row in found if (label := self._labels.get(row.setting)) is not None}

    @cached_property
    def columns(self) -> list[Column]:
        """The headline scores of this task."""
        return [column for column in tables.headline_columns(self.study) if column.task == self.task]

    @cached_property
    def unfinished(self) -> list[str]:
        """Settings with runs that did not finish, such as "shared (2 diverged)"."""
        named = tables.settings(self.study)
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for run in self.study:
            if run["task"] == self.task and run["status"] != "finished":
                found[self._labels[named[run["signature"]]]][run["status"]] += 1
        counted = {label: [f"{n} {what}" for what, n in sorted(counts.items())] for label, counts in found.items()}
        return [f"{label} ({', '.join(words)})" for label, words in counted.items() if words]

    @cached_property
    def _labels(self) -> dict[Setting, str]:
        named = tables.settings(self.study)
        return short_labels({named[run["signature"]] for run in self.study if run["task"] == self.task})


def materials(runs: list[Record]) -> list[Material]:
    """Of each task; a setting has the same look in all of them."""
    by_task: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        by_task[run["task"]].append(run)
    try:
        baseline = tables.baseline_of(runs)
    except ValueError:  # which `Material.rows` says
        baseline = ""
    groups = {task: by_setting(found, baseline) for task, found in sorted(by_task.items())}
    shown = looks(label for group in groups.values() for label in group)
    result = []
    for task, by_label in groups.items():
        finished = {
            label: mine
            for label, group in by_label.items()
            if (mine := [run for run in group if run["status"] == "finished"])
        }
        if finished:
            result.append(Material(task, runs, finished, shown, baseline))
    return result


def by_setting(runs: list[Record], baseline: str | None = None) -> Runs:
    """The runs of one task by setting, the baseline's first, by seed; the baseline by default as their study says."""
    baseline = tables.baseline_of(runs) if baseline is None else baseline
    named = tables.settings(runs)
    labels = short_labels(named.values())
    found: Runs = defaultdict(list)
    for setting in sorted(labels, key=lambda setting: (setting.strategy != baseline, setting.order())):
        mine = [run for run in runs if named[run["signature"]] == setting]
        found[labels[setting]] = sorted(mine, key=lambda run: run["seed"])
    return dict(found)
