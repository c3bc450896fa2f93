"""Records in their folders: found by signature, by study, and loaded together."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ablations.record import index
from ablations.record.file import check_place, check_study, copy_for, ending, load

Record = dict[str, Any]


def find(results: str | Path, signature: str, study: str) -> Record | None:
    """The record of a run that has come to its end, finished or diverged: this study's, else another's; or none.

    A diverged run would diverge again; a failed one deserves another try. A run that another study made belongs into
    this study's table too: `write(copy_for(record, study), results)`.
    """
    check_study(study)
    files = (Path(results) / "records").glob(f"*/*-{signature}.json")
    for file in sorted(files, key=lambda file: (file.parent.name != study, file)):
        record = load(file)
        if record["signature"] == signature and record["status"] != "failed":
            return {**record, "study": file.parent.name}
    check_place(results, study)  # it would be made, and be refused when it is written
    return None


def answers(results: str | Path, signatures: Collection[str], study: str) -> dict[str, tuple[Path, Record]]:
    """What `find` would give for each of many signatures, as a file and its brief; without an answer, absent."""
    check_study(study)
    found: dict[str, tuple[Path, Record]] = {}
    for name in sorted(_folders(results), key=lambda name: (name != study, name)):
        for file, brief in index.read(results, name, endings=set(signatures) - found.keys()):
            if brief["signature"] == ending(file) and brief["status"] != "failed":
                found.setdefault(brief["signature"], (Path(results) / "records" / name / file, brief))
    return found


def studies(results: str | Path) -> list[str]:
    """Names of the studies that have a folder of records."""
    found = []
    for name in _folders(results):
        with os.scandir(Path(results) / "records" / name) as entries:
            if any(entry.name.endswith(".json") for entry in entries):
                found.append(name)
    return found


def _folders(results: str | Path) -> list[str]:
    folder = Path(results) / "records"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def asked(results: str | Path, wanted: list[str] | None) -> list[str]:
    """The studies a command line asks for, by default all but `scratch`, whose runs were asked for one by one.

    Says so where there are no records at all. Raises ValueError for a study without records.
    """
    known = studies(results)
    if not known:
        print(f"no records under {Path(results) / 'records'} yet: `python train.py` makes one")
    for study in wanted or []:
        if study not in known:
            raise ValueError(f"no records of study {study!r} under {results} (known: {', '.join(known) or 'none'})")
    return wanted or [study for study in known if study != "scratch"]


def load_all(results: str | Path, study: str | None = None) -> list[Record]:
    """All records, or those of one study, in a fixed order; the folder says which study a record belongs to.

    Records merge by copying files: the same record twice counts once. Raises ValueError where two files claim to be
    one run and say different things.
    """
    pattern = f"{check_study(study)}/*.json" if study is not None else "*/*.json"
    known: dict[str, tuple[Path, Record]] = {}
    result: dict[tuple[str, str], Record] = {}
    for file in sorted((Path(results) / "records").glob(pattern)):
        record = {**load(file), "study": file.parent.name}
        first, twin = known.setdefault(record["signature"], (file, record))
        _refuse_difference(first, twin, file, record)
        result.setdefault((record["study"], record["signature"]), record)
    for other, names in _shared(results, study, known) if study is not None else []:
        for file in [Path(results) / "records" / other / name for name in names]:
            try:
                twin = load(file)
            except ValueError:
                continue  # what is wrong with it is said of its own study
            _refuse_difference(*known[twin["signature"]], file, twin)
    return list(result.values())


def briefs(results: str | Path, study: str) -> list[Record]:
    """The records of a study without curves, samples and analyses; `signed` is their identity but for the seed.

    As `load_all`, its errors included, and much sooner where the files are the ones that were there the last time.
    Dicts that many records have in common are one object: change none of them.
    """
    folder = Path(results) / "records" / check_study(study)
    result: dict[str, tuple[str, Record]] = {}
    for name, brief in index.read(results, study):
        first, twin = result.setdefault(brief["signature"], (name, brief))
        if twin is not brief:
            _refuse_difference(folder / first, load(folder / first), folder / name, load(folder / name))
    for other, names in _shared(results, study, result):
        try:
            twins = index.read(results, other, endings={ending(name) for name in names})
        except ValueError:
            continue  # what is wrong with it is said of its own study
        for name, twin in twins:
            first, brief = result[twin["signature"]]
            if not _alike(brief, twin):
                file = Path(results) / "records" / other / name
                _refuse_difference(folder / first, load(folder / first), file, load(file))
    return [brief for _, brief in result.values()]


def _shared(results: str | Path, study: str, signatures: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Other studies, with the names of their files that claim to be of one of these runs."""
    for other in _folders(results):
        found = index.scan(Path(results) / "records" / other) if other != study else ()
        if names := sorted(name for name in found if ending(name) in signatures):
            yield other, names


def _refuse_difference(first: Path, one: Record, second: Path, two: Record) -> None:
    if not _alike(one, two):
        raise ValueError(f"{first} and {second} are records of one run but differ: keep one of them")


def _alike(one: Record, two: Record) -> bool:
    """Apart from the study that asks."""
    study = two["config"]["study"]
    return copy_for(one, study) == copy_for(two, study)
