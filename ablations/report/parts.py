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
    refusal: str = ""
    by_task: dict[str, Runs] = field(default_factory=dict)  # task -> setting -> its runs
    names: dict[str, str] = field(default_factory=dict)  # signature -> setting


def load(results: Path, name: str) -> Study:
    """A study from its folder of records, with the settings that its tables and figures name."""
    try:
        runs = records.load_all(results, name)
    except ValueError as error:
        return Study(name, [], str(error))
    return of_runs(name, runs)


def of_runs(name: str, runs: list[Record]) -> Study:
    """The same from records at hand."""
    tasks: dict[str, list[Record]] = defaultdict(list)
    for run in runs:
        tasks[run["task"]].append(run)
    by_task = {task: figures.by_setting(found) for task, found in sorted(tasks.items())}
    settings = {signature: str(setting) for signature, setting in tables.settings(runs).items()} if runs else {}
    return Study(name, runs, "", by_task, settings)


def shown(study: Study, task: str) -> str:
    """What a choice calls a task of a study; the task alone says little where a study has one."""
    return f"{study.name}: {task}"


def marks() -> dict[str, list[Any]]:
    """Colour, dash and marker of the first, second, ... setting: those of the figures."""
    return {
        "colours": list(figures.COLOURS),
        "dashes": [DASHES[dash] if isinstance(dash, str) else [2 * n for n in dash[1]] for dash in figures.DASHES],
        "markers": [MARKERS[marker] for marker in figures.MARKERS],
    }
