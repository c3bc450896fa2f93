"""All pages at once. One that lacks something does not keep the others from being written."""

from pathlib import Path

from ablations import record as records
from ablations.files import CONF, write_text
from ablations.pages.claims import claims
from ablations.pages.contents import Entry, contents
from ablations.pages.page import FORMATS, MARK, page
from ablations.pages.pictures import pictures
from ablations.report.findings import findings
from ablations.report.parts import load
from ablations.report.studies import section


def write(results: Path, chosen: list[str] | None = None, conf: Path = CONF) -> tuple[list[Path], list[str]]:
    """Writes `<results>/studies/<study>.md` and an index of all studies, `README.md`, beside them.

    `chosen`: pages of these studies alone, by default of all but `scratch`; pages of studies that are gone are then
    removed. Returns what was written and a sentence for each study that has no table, or whose records cannot be
    read: that one keeps its old page.
    """
    folder, written, refusals, entries = results / "studies", [], [], []
    known = [name for name in records.studies(results) if name != "scratch"]
    leaning = claims(results, conf)
    asked: list[str] = [] if chosen is None else chosen
    for name in dict.fromkeys([*known, *asked]):
        study = load(results, name)
        entry = Entry(study, section(study, conf), findings(study.table, study.runs))
        if name in known:
            entries.append(entry)
        if chosen is not None and name not in chosen:
            continue
        if study.refusal:
            refusals.append(f"study {name}: {study.refusal}")
        if study.runs:
            written.append(folder / f"{name}.md")
            mine = [claim for claim in leaning if name in claim.studies]
            text = page(
                study,
                entry.section,
                entry.findings,
                pictures=pictures(results, name),
                claims=mine,
                links=[path for path in _beside(name) if (results / path).is_file()],
            )
            write_text(written[-1], text)
    if chosen is None:
        _remove(folder, known)
    written.append(folder / "README.md")
    write_text(written[-1], contents(entries, conf))
    return written, refusals


def _beside(name: str) -> list[str]:
    return [*(f"tables/{name}.{form}" for form in FORMATS), f"comparisons/{name}.md"]


def _remove(folder: Path, known: list[str]) -> None:
    """The pages, made here, of studies that have no records any more."""
    for file in folder.glob("*.md"):
        if file.stem not in known and file.read_text(encoding="utf-8").startswith(MARK):
            file.unlink()
