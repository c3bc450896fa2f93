"""One record as a file: where it lies, written whole, read and checked."""

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from ablations.files import write_text
from ablations.record.identity import identity, label, sign
from ablations.record.parts import parsed
from ablations.record.seal import seal, unseal
from ablations.secrets import hidden

SCHEMA = 1
STATUSES = ("finished", "diverged", "failed")
KEYS = ("study", "strategy", "sites", "task", "kind", "signature", "status", "seed", "config")
FINISHED_KEYS = ("data", "budget", "training", "scores")  # a run that failed early may lack them


def check_study(name: str) -> str:
    """The name, if it can be that of a folder; ValueError if not."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=,-]{0,99}", name):
        raise ValueError(
            f"study.name={name!r} cannot name a folder: use up to 100 letters, digits and . _ = , - "
            "and begin with a letter or a digit"
        )
    return name


def path(results: str | Path, record: dict[str, Any]) -> Path:
    """Where a record lies: `<results>/records/<study>/<label>-<signature>.json`."""
    name = f"{label(record['config'])}-{record['signature']}.json"
    return Path(results) / "records" / check_study(record["study"]) / name


def check_place(results: str | Path, study: str) -> None:
    """Raises ValueError where a study's records cannot be written: its name is none of a folder, or that is a link."""
    refuse_link(Path(results) / "records" / check_study(study))


def refuse_link(folder: Path) -> None:
    """Raises ValueError for a link in place of a folder that is ours: nothing is written or deleted through one."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link to {folder.readlink()}: put a folder there, with copies of what it has")


def write(record: dict[str, Any], results: str | Path) -> Path:
    """Write a record in one piece, replacing an earlier one of the same run in every study, and return its path.

    A copy that cannot be loaded is left to its own study, which names it when it is read.

    JSON has no NaN: a number that is not finite is stored as null, and `non_finite` says where and what it was,
    such as {"curve.12.loss": "nan"}. Keys and passwords that this process can see are stored as *** (`secrets.hidden`).
    """
    target = path(results, record)
    check_place(results, record["study"])
    _check(record, target)
    lost: dict[str, str] = {}
    plain = _finite(record, "", lost)
    plain |= hidden({key: value for key, value in plain.items() if key not in KEYS})
    if lost:
        plain["non_finite"] = lost
    write_text(target, text(plain))
    for other in set(target.parent.parent.glob(f"*/*-{record['signature']}.json")) - {target}:
        if other.parent.is_symlink():
            continue
        try:
            study = {**load(other)["config"]["study"], "name": other.parent.name}
        except ValueError:
            continue
        copy = text(copy_for(plain, study))
        if other.read_bytes() != copy.encode():
            write_text(other, copy)
    return target


def text(record: dict[str, Any]) -> str:
    """What its file holds: a key a line, an item of a list a line, a setting a line. ValueError for no finite number.

    Indented throughout, the records of this repository took 1.3 times as many bytes.
    """
    parts = (f" {_json(key)}: {_laid_out(key, value)}" for key, value in record.items())
    return seal("{\n" + ",\n".join(parts) + "\n}")


def _laid_out(key: str, value: Any) -> str:
    if key == "config":
        return _json(value, indent=1).replace("\n", "\n ")
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
    return _json(value)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any, where: str, lost: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item, f"{where}.{key}", lost) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, f"{where}.{index}", lost) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        lost[where.removeprefix(".")] = str(value)
        return None
    return value


class UnsealedError(ValueError):
    """A record without a checksum."""


def load(file: str | Path) -> dict[str, Any]:
    """Read a record and check that it is whole and is what it says. Raises ValueError naming the file."""
    return load_signed(file)[0]


def load_signed(file: str | Path, sealed: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record as `load` gives it, and the identity that its signature is made of.

    `sealed`: with UnsealedError for one that has no checksum.
    """
    content = _content(Path(file))
    try:
        sound, broken = unseal(content), ""
    except ValueError as error:
        sound, broken = None, str(error)
    try:
        record = parsed((content.decode() if sound is None else sound).strip(" \n\r\t"))
    except (ValueError, RecursionError) as error:  # JSON or UTF-8, or brackets in thousands of brackets
        raise ValueError(f"{file} is not a readable record ({error}): restore it, or delete it and run again") from None
    if not isinstance(record, dict) or "schema" not in record:
        raise ValueError(f"{file} is not a record: move it out of the records folder")
    check_schema(record, file)
    if sound is None and "checksum" in record:
        raise ValueError(f"{file} is damaged or was edited ({broken}): restore it, or delete it and run again")
    if sound is None and sealed:
        raise UnsealedError(
            f"{file} has no checksum, as records of earlier versions: "
            f"`python -m ablations.record.checksum {file}` adds it where the signature fits"
        )
    found = _check(record, file)
    if ending(Path(file).name) != record["signature"]:
        raise ValueError(
            f"{file} holds the run {record['signature']}, which its name must end in: "
            f"let it end in -{record['signature']}.json, or delete it"
        )
    return record, found


def _content(file: Path) -> bytes:
    """Raises ValueError for what is no file, or none that can be read; FileNotFoundError where there is nothing."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for, a device read without end
            raise ValueError(f"{file} is not a file: move it out of the records folder")
        return file.read_bytes()
    except OSError as error:
        if not os.path.lexists(file):
            raise
        raise ValueError(f"{file} cannot be read ({error.strerror}): restore it, or delete it and run again") from None


def ending(name: str) -> str:
    """The signature that a record's file claims by its name."""
    return name.removesuffix(".json").rpartition("-")[2]


def _check(record: dict[str, Any], file: str | Path) -> dict[str, Any]:
    check_keys(record, file)
    try:
        found = identity(record["config"])
        expected = sign(found)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:  # no heads: nothing to divide by
        raise ValueError(
            f"{file} holds an incomplete config ({error!r}): restore it, or delete it and run again"
        ) from None
    except ValueError as error:
        raise ValueError(f"{file} holds a config that cannot be signed ({error}): delete it and run again") from None
    if record["signature"] != expected:
        raise ValueError(
            f"{file} is signed {record['signature']} but its config gives {expected}: "
            "it was edited or written by another version; restore it, or delete it and run again"
        )
    return found


def check_schema(record: dict[str, Any], file: str | Path) -> None:
    """Raises ValueError for a record of another version."""
    if record["schema"] != SCHEMA:
        raise ValueError(
            f"{file} has record schema {record['schema']}, this version reads {SCHEMA}: "
            "use the version that wrote it, or run again"
        )


def check_keys(record: dict[str, Any], file: str | Path) -> None:
    """Raises ValueError unless a record, or as much of it as a brief keeps, has what every record has."""
    check_schema(record, file)
    if record.get("status") not in STATUSES:
        raise ValueError(f"{file} has status {record.get('status')!r}, not one of {', '.join(STATUSES)}: run again")
    keys = KEYS + (FINISHED_KEYS if record["status"] == "finished" else ())
    if missing := [key for key in keys if record.get(key) is None]:
        raise ValueError(f"{file} lacks {', '.join(missing)}: restore it, or delete it and run again")


def copy_for(record: dict[str, Any], study: dict[str, Any]) -> dict[str, Any]:
    """The record as another study keeps it; `study` is that study's part of a config."""
    return {**record, "study": study["name"], "config": {**record["config"], "study": study}}
