"""The index of all pages: a line for each study."""

from dataclasses import dataclass
from pathlib import Path

from ablations.files import CONF
from ablations.report.findings import Finding, counts
from ablations.report.parts import Study
from ablations.report.runs import seconds
from ablations.report.studies import Section
from ablations.writers.as_markdown import escape
from ablations.writers.grid import NOTHING, listed

FIRST = "headline"  # studies whose names begin with it lead, then these:
NEXT = ("multi30k_headline", "wikitext2")
HEADER = ("study", "question", "runs", "verdicts", "minutes")
ABOUT = (
    "A page for each: the question, what was expected, what was found, tables, figures, and the "
    "commands that make it again. Verdicts count comparisons with the baseline, setting by setting and score by score; "
    "minutes are those of all runs one after the other, by the clock."
)


@dataclass(frozen=True)
class Entry:
    """A study as its page shows it."""

    study: Study
    section: Section
    findings: list[Finding]


def contents(entries: list[Entry], conf: Path = CONF) -> str:
    """The text of `<results>/studies/README.md`."""
    rows = [HEADER, ["---"] * len(HEADER), *map(_cells, sorted(entries, key=lambda entry: place(entry.study.name)))]
    lines = [
        "<!-- Made by `python scripts/pages.py` from records alone; do not edit. -->",
        "# The studies",
        "",
        ABOUT,
        "",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    there = {entry.study.name for entry in entries}
    absent = sorted({file.stem for file in (conf / "study").glob("*.yaml")} - there)
    if absent:
        lines += ["", f"Planned in conf/study and not run: {listed([f'`{name}`' for name in absent])}."]
    return "\n".join(lines) + "\n"


def place(name: str) -> tuple[bool, int, str]:
    """Sorts studies: the headline first."""
    return not name.startswith(FIRST), NEXT.index(name) if name in NEXT else len(NEXT), name


def _cells(entry: Entry) -> list[str]:
    study, section = entry.study, entry.section
    known = [found for run in study.runs if (found := seconds(run)) is not None]
    partial = " (partial)" if section.missing else ""
    said = [section.about.get("question") or NOTHING, section.counts + partial]
    said += ["no table" if section.refusal else counts(entry.findings) or NOTHING]
    name = f"[{study.name}]({study.name}.md)" if study.runs else study.name
    return [name, *map(escape, said), f"{sum(known) / 60:,.0f}" if known else NOTHING]
