"""What a benchmark found, on the screen and in results/bench/: Markdown for people, JSON with every sample."""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ablations import provenance
from ablations.bench.names import UNTIMED
from ablations.bench.setup import Setup, machine
from ablations.bench.timing import Samples, ratio, spread
from ablations.files import write_text

EXPLAINED = """Contenders take turns in one process; figures are medians with quartiles. On a CPU the time is what the
process computed, waiting left out. Every sample is in the JSON file beside this one."""


@dataclass
class Table:
    """Rows under a title, and what must be known to read them."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    picture: str = ""  # a file beside the report
    samples: Samples = field(default_factory=dict)  # seconds a unit, where rows were timed in turn

    def markdown(self) -> str:
        """A heading, the table, a list of notes."""
        lines = [f"## {self.title}", ""]
        if self.rows:
            lines += [_row(self.columns), _row(["---"] * len(self.columns)), *map(_row, self.rows), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += [f"\n![{self.title}]({self.picture})"] if self.picture else []
        return "\n".join(lines).rstrip() + "\n"


def compared(title: str, samples: Samples, first: str) -> Table:
    """Milliseconds of each, and how many times those of `first`."""
    table = Table(title, ["what", "ms", f"times {first}", "n"], samples=samples)
    for name, seconds in samples.items():
        found = spread([1000 * value for value in seconds])
        table.rows.append([name, f"{found.median:.1f}", str(ratio(samples, name, first)), str(found.n)])
    return table


def write(name: str, setup: Setup, tables: list[Table]) -> list[Path]:
    """Writes `<results>/bench/<name>.md` and `.json` and returns where."""
    facts = {
        "name": name,
        "command": command(),
        "date": provenance.now(),
        "code": provenance.code(),
        "machine": machine(setup.place),
        "versions": provenance.versions(),
    }
    kept: dict[str, Any] = {**facts, "tables": [_rounded(asdict(table)) for table in tables]}
    where = f"{facts['date'][:10]}; {_machine(facts['machine'])}; torch {facts['versions']['torch']}"
    explained = "" if name in UNTIMED else f"{EXPLAINED}\n\n"
    head = f"# {name}\n\n`{facts['command']}`, {where}.\n\n{explained}"
    text = head + "\n".join(table.markdown() for table in tables)
    written = [setup.folder() / f"{name}.{kind}" for kind in ("md", "json")]
    write_text(written[0], text)
    write_text(written[1], json.dumps(kept, indent=1) + "\n")
    return written


def save_for_claims(name: str, setup: Setup, samples: Samples) -> Path:
    """Keeps the samples where claims read them, `<results>/measurements/<name>.json`."""
    kept = {
        "name": name,
        "command": f"python scripts/bench.py {name} --save",
        "date": provenance.now()[:10],
        "machine": machine(setup.place),
        "samples": _rounded(samples),
    }
    target = Path(setup.results) / "measurements" / f"{name}.json"
    write_text(target, json.dumps(kept, indent=1) + "\n")
    return target


def command() -> str:
    """The command as it was typed, folders of this machine left out."""
    words = ["FOLDER" if "/" in word and Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "scripts/bench.py", *words])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine(facts: dict[str, Any]) -> str:
    threads = "one thread" if facts["threads"] == 1 else f"{facts['threads']} threads"
    return f"{facts['name']}, {threads}" if facts["device"] == "cpu" else facts["name"]


def _rounded(value: Any) -> Any:
    """Five digits are more than a time has."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
