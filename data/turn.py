"""Whose turn it is to build: one process does, the others wait and take what it has made.

The lock dies with its holder. Where a file system has no locks nobody waits, and the renames decide (`data.build`).
"""

import fcntl
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from data.owner import abandoned, owner

LOCK = ".lock"
PATIENCE = 3.0  # seconds of waiting before it is told


@contextmanager
def turn(home: Path) -> Iterator[None]:
    """Our turn in `home`, once whoever works there has ended, however that was; what the dead left there is removed."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK).open("ab") as file:
        _wait(file, home)
        _clear(home)
        yield


def _wait(file: IO[Any], home: Path) -> None:
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.02)
        workers = [f"process {who[0]} on {who[1]}" for path in home.iterdir() if (who := owner(path))]
        print(f"waiting for {' or '.join(workers) or 'another process'}, preparing {home}", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # no locks here
        return


def _clear(home: Path) -> None:
    """Removes unfinished folders of the dead. The lock alone does not say who is: it may be none."""
    for path in home.iterdir():
        with suppress(FileNotFoundError):  # where there are no locks somebody else may clear, too
            if abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
