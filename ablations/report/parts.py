"""What the sections have in common: a study with its runs, its tables' settings, and the marks of each setting."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablations import figures, tables
from ablations import record as records

Record = dict[str, Any]
Runs = dict[str, list[Record]]  # setting -> its runs, the baseline's first, by seed
HERE = Path(__file__).resolve().parent
# An encoding. A long name has several lines in the legend: a phone has room for 40 letters.
LINES = "length(datum.label) > 40 ? split(datum.label, ', ') : datum.label"
LEGEND = {"symbolOpacity": 1, "labelExpr": LINES}
SETTING = {"field": "setting", "type": "nominal", "title": "setting", "legend": LEGEND}
# matplotlib's names for dashes and markers, as the plotting library of a page wants them.
DASHES = {"-": [1, 0], "--": [6, 3], "-.": [7, 2, 1.5, 2], ":": [1.5, 2.5]}
CROSS = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
STAR = "M0,-1L.29,-.4L.95,-.31L.48,.15L.59,.81L0,.5L-.59,.81L-.48,.15L-.95,-.31L-.29,-.4Z"
MARKERS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down"}
MARKERS |= {"P": "cross", "X": CROSS, "*": STAR}


@dataclass(frozen=True)
class Study:
    """The records of a study, whole; without any where they cannot be read, and then `refusal` says why."""

    name: str
    runs: list[Record]
    refusal: str = ""  # why there are no runs, or no table of them
    by_task: dict[str, Runs] = field(default_factory=dict)  # settings by their short names, as in figures
    baseline: str = "separate"
    table: list[tables.Row] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # signature -> setting, as in tables
    looks: dict[str, figures.Look] = field(default_factory=dict)  # short name -> colour, dash, marker

    def label(self, row: tables.Row, task: str) -> str | None:
        """The short name that a row of the table has in a task; none where it has no run of it."""
        signatures = {run["signature"] for run in row.runs}
        found = self.by_task.get(task, {}).items()
        return next((name for name, group in found if signatures & {run["signature"] for run in group}), None)


def load(results: Path, name: str) -> Study:
    """A study from its folder of records, with the table that they make."""
    try:
        runs = records.load_all(results, name)
    except ValueError as error:
        return Study(name, [], str(error))
    return of_runs(name, runs)


def of_runs(name: str, runs: list[Record]) -> Study:
    """The same from records at hand."""
    if not runs:
        return Study(name, runs)
    tasks: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        tasks[run["task"]].append(run)
    refusal, baseline, table = "", "", []
    try:
        baseline = tables.baseline_of(runs)
        table = tables.rows(runs, baseline)
    except ValueError as error:  # the runs cannot stand in one table
        refusal = str(error)
    by_task = {task: figures.by_setting(found, baseline) for task, found in sorted(tasks.items())}
    names = {signature: str(setting) for signature, setting in tables.settings(runs).items()}
    looks = figures.looks(label for settings in by_task.values() for label in settings)
    return Study(name, runs, refusal, by_task, baseline, table, names, looks)


def settings(study: Study, task: str) -> dict[str, Any]:
    """What the scripts are told of a task's settings: their names, and the look that each has in the figures."""
    names = list(study.by_task[task])
    return {
        "label": f"{study.name}: {task}",
        "study": study.name,
        "settings": names,
        "marks": [mark(study.looks[name]) for name in names],
    }


def mark(look: figures.Look) -> dict[str, Any]:
    """A look in the words of the plotting library."""
    dash = DASHES[look.dash] if isinstance(look.dash, str) else [2 * length for length in look.dash[1]]
    return {"color": look.colour, "strokeDash": dash, "shape": MARKERS[look.marker]}
