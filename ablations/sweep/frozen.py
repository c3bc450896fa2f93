"""A cell as it was when it was launched: settings, code and libraries. Edits made while it waits do not reach it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ablations import provenance, record
from ablations.files import write_text
from ablations.sweep.plan import Cell

FILE = "cell.json"
FAILED = "failed.txt"  # beside it: why the last attempt failed, in one sentence
FORMAT = 1


@dataclass(frozen=True)
class Frozen:
    """What `<work>/<signature>/cell.json` says."""

    format: int
    signature: str
    config: dict[str, Any]
    overrides: list[str]
    origin: dict[str, Any]  # commit, and the claims' rules, as the record will tell them
    digest: str  # of the program text
    versions: dict[str, str]
    frozen: str  # when

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises ValueError where the file is not what `freeze` wrote."""
        try:
            frozen = cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as damage:
            raise ValueError(
                f"{file} cannot be read ({damage}): launch the study again, which writes it anew"
            ) from None
        if frozen.format != FORMAT:
            raise ValueError(
                f"{file} is of format {frozen.format}, this version reads {FORMAT}: launch the study again"
            )
        return frozen

    def compare(self) -> None:
        """Raises ValueError unless code and libraries are still those of the launch."""
        if provenance.digest() != self.digest:
            then, now = _commit(self.origin["code"]), _commit(provenance.code())
            commits = f" (then {then}, now {now})" if then != now else ""
            raise ValueError(
                f"the code has changed since this run was launched{commits}: "
                "launch it again by the same command, or restore that code"
            )
        here = provenance.versions()
        for name, version in self.versions.items():
            if here[name] != version:
                raise ValueError(
                    f"{name} is {here[name]} here and was {version} where this run was launched: "
                    "use that environment, or launch it again from this one"
                )

    def answered(self) -> dict[str, Any] | None:
        """The record of this run, if it has come to its end; one that `rerun` is to replace does not count."""
        found = record.find(self.config["paths"]["results"], self.signature, self.config["study"]["name"])
        old = found is not None and self.config["rerun"] and found["finished"] < self.frozen
        return None if old else found


class Freezer:
    """Writes down cells; what is the same for all of a launch is looked up once."""

    def __init__(self) -> None:
        self.origin = provenance.origin()
        self._same = {
            "origin": self.origin,
            "digest": provenance.digest(),
            "versions": provenance.versions(),
            "frozen": provenance.now(),
        }

    def freeze(self, cell: Cell) -> Path:
        """Writes the cell's file, in place of one from an earlier launch, and returns its path."""
        frozen = Frozen(FORMAT, cell.signature, cell.plain, cell.overrides, **self._same)
        file = cell.folder / FILE
        file.with_name(FAILED).unlink(missing_ok=True)
        write_text(file, json.dumps(vars(frozen), ensure_ascii=False) + "\n")
        return file


def _commit(code: dict[str, Any]) -> str:
    commit = (code["commit"] or "no commit")[:10]
    return f"{commit} with changes" if code["dirty"] else commit
