"""Frozen cells, run in a process of their own: `python -m ablations.sweep.cell <work>/<signature>/cell.json ...`.

Several cells are a stack: they are trained together.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations.compose import from_plain
from ablations.config import RunConfig
from ablations.errors import go_on, reason, shell
from ablations.files import write_text
from ablations.sweep.frozen import FAILED, Frozen


def run_frozen(*files: Path) -> None:
    """Runs what the files say, unless code or libraries are others by now. What fails does not stop the others.

    Raises what went wrong; where several things did, the last one, the others told.
    """
    failures: list[Exception] = []
    ready = []
    for file in files:
        try:
            with reasoned(file.parent):
                frozen = Frozen.read(file)
                frozen.compare()
                config = from_plain(frozen.config)
                again = config.rerun and frozen.answered() is None  # a job that SLURM starts twice trains once
                config.rerun = again
                ready.append(Attempted(file.parent, config, frozen.overrides, frozen.origin))
        except Exception as error:
            failures.append(error)
    failures += dict.fromkeys(outcome for outcome in attempt(ready) if outcome is not None)
    for error in failures[:-1]:
        go_on(error)
    if failures:
        raise failures[-1]


@dataclass(frozen=True)
class Attempted:
    """A run, and the folder where it works."""

    folder: Path
    config: RunConfig
    overrides: list[str]
    origin: dict[str, Any]


def attempt(runs: Sequence[Attempted]) -> list[Exception | None]:
    """One attempt at runs that go together: why each failed, where it did.

    That is written down in the run's folder, too, for who asks how the study is getting on.
    """
    if not runs:
        return []
    from ablations.run import Asked, run_together  # torch comes when everything else is in order

    for one in runs:
        (one.folder / FAILED).unlink(missing_ok=True)
    try:
        outcomes = run_together([Asked(one.config, one.overrides, one.origin) for one in runs])
    except Exception as error:
        outcomes = [error] * len(runs)
    failures = [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]
    for one, failure in zip(runs, failures, strict=True):
        if failure is not None:
            with suppress(OSError):  # on a full disk; whoever called tells the failure
                write_text(one.folder / FAILED, reason(failure) + "\n")
    return failures


@contextmanager
def reasoned(folder: Path) -> Iterator[None]:
    """A failure inside is written down in the folder, and raised again."""
    failed = folder / FAILED
    failed.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        write_text(failed, reason(error) + "\n")
        raise


@shell
def main() -> None:
    """The command line."""
    run_frozen(*map(Path, sys.argv[1:]))


if __name__ == "__main__":
    main()
