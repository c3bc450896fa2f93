"""A study's section: what was asked and expected, what is there and what is missing, its tables, its cost."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations import writers
from ablations.claims.schema import Study as Plan
from ablations.files import CONF, read_yaml
from ablations.report.parts import Record, Study
from ablations.report.runs import seconds
from ablations.tables import planned
from ablations.tables.costs import machine_in_words
from ablations.writers.grid import listed, margins_in_words, plural

NO_MARGIN = "none was fixed"


@dataclass(frozen=True)
class Section:
    """What the page says of a study."""

    name: str
    about: dict[str, str]  # question, prediction, baseline, margin, ... in words
    counts: str
    missing: str  # planned runs without a record, in a sentence; empty where none is known
    grids: list[writers.Grid]
    refusal: str  # why there are no tables
    train: list[str]  # the commands that make its runs
    tables: str
    took: str
    machines: list[str]
    change: str  # what would change our mind, as its file says it; empty where it says nothing

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.refusal and not self.grids:
            return "no table"
        return "PARTIAL" if self.missing else "complete" if self.train else "unplanned"


def section(study: Study, conf: Path = CONF) -> Section:
    """Of one study, from its records and the file that plans it."""
    grids, missing = [], ""
    if study.table:
        missing = planned.missing(study.name, study.runs, study.table, conf) or ""
        if any(run["status"] == "finished" for run in study.runs):
            grids = writers.grids(study.table, study.runs, study.baseline)
    return Section(
        study.name,
        about(study.runs),
        counts(study.runs),
        missing,
        grids,
        study.refusal,
        commands(study.name, conf),
        f"python scripts/tables.py --study {study.name} --print",
        took(study.runs),
        machines(study.runs),
        change(study.name, conf),
    )


def commands(name: str, conf: Path = CONF) -> list[str]:
    """What makes the study's runs: its own sweep, then those of `study.more`.

    None where no file plans the study: the commands are then the runs' own.
    """
    if not (conf / "study" / f"{name}.yaml").is_file():
        return []
    files = " paths.corpora=FOLDER" if Plan.read(conf, name).files else ""
    further = planned_as(name, conf).get("more") or []
    return [f"python train.py {words}{files}" for words in (f"study={name}", *(f"study={name} {w}" for w in further))]


def change(name: str, conf: Path = CONF) -> str:
    """What would change our mind: of the file, since it may be written after the runs."""
    return " ".join(str(planned_as(name, conf).get("change") or "").split())


def planned_as(name: str, conf: Path = CONF) -> dict[str, Any]:
    """What a study's file says of the study; nothing where no file plans it."""
    file = conf / "study" / f"{name}.yaml"
    return (read_yaml(file) or {}).get("study") or {} if file.is_file() else {}


def about(runs: list[Record]) -> dict[str, str]:
    """Question, prediction and margin as they stand in the records of the study itself; the latest question."""
    own = [run for run in runs if run["config"]["study"]["name"] == run["study"]] or runs
    if not own:
        return {}
    own = sorted(own, key=lambda run: (run.get("started") or "", run["signature"]))
    said = own[-1]["config"]["study"]
    found = {"question": str(said["question"])} if said.get("question") else {}
    if prediction := versions(own, lambda study: str(study.get("prediction") or "")):
        found["prediction"] = prediction
    found["baseline"] = said.get("baseline") or "separate"
    found["margin"] = versions(own, margin)
    return found


def versions(runs: list[Record], words: Callable[[dict[str, Any]], str]) -> str:
    """What the runs say of their study; of several things how many runs say which, as words may change between runs."""
    said = Counter(words(run["config"]["study"]) for run in runs)
    if len(said) == 1:
        return next(iter(said))
    return " ".join(f"{text or 'Nothing.'} (So {count} of {len(runs)} runs.)" for text, count in said.items())


def margin(said: dict[str, Any]) -> str:
    """What the study calls small."""
    return listed(margins_in_words(said)) or str(said.get("without_margin") or NO_MARGIN)


def counts(runs: list[Record]) -> str:
    """Such as "18 runs: 17 finished, 1 diverged"."""
    by_status = Counter(run["status"] for run in runs)
    words = [f"{by_status[status]} {status}" for status in records.STATUSES if by_status[status]]
    return plural(len(runs), "run") + (f": {', '.join(words)}" if words else "")


def took(runs: list[Record]) -> str:
    """All runs of a study one after the other, and the shortest and the longest."""
    known = [found for run in runs if (found := seconds(run)) is not None]
    if not known:
        return "not on record"
    less = f" ({len(known)} of {len(runs)} runs have it on record)" if len(known) < len(runs) else ""
    return f"{duration(sum(known))} in all, {duration(min(known))} to {duration(max(known))} a run{less}"


def duration(length: float) -> str:
    """Such as 46 s, 12 min, 3 h 20 min."""
    if length < 100:
        return f"{length:.0f} s"
    minutes = round(length / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def machines(runs: list[Record]) -> list[str]:
    """The machines of the runs in words, each once, with the number of its runs."""
    found = Counter(map(machine_in_words, runs))
    return [f"{name} ({plural(count, 'run')})" for name, count in sorted(found.items())]
