"""Whose turn it is to build: one process does, the others wait and take what it has made.

The lock dies with its holder. Where a file system has no locks nobody waits, and the renames decide (`data.build`).
"""

import fcntl
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LOCK = ".lock"
PATIENCE = 3.0  # seconds of waiting before it is told
OLD = 24 * 3600  # seconds after which nobody on another machine is still at work in a folder that does not change


@contextmanager
def turn(home: Path) -> Iterator[None]:
    """Our turn in `home`, once whoever works there has ended, however that was; what the dead left there is removed."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK).open("ab") as file:
        _wait(file, home)
        _clear(home)
        yield


def own_folder(home: Path, what: str) -> Path:
    """A new name in `home` that tells whose it is: `.<what>-<unique>-<process>-<machine>`."""
    return home / f".{what}-{uuid.uuid4().hex[:8]}-{os.getpid()}-{socket.gethostname()}"


def _wait(file: IO[Any], home: Path) -> None:
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.02)
        workers = [f"process {owner[0]} on {owner[1]}" for path in home.iterdir() if (owner := _owner(path))]
        print(f"waiting for {' or '.join(workers) or 'another process'}, preparing {home}", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # no locks here
        return


def _clear(home: Path) -> None:
    """Removes unfinished folders of the dead. The lock alone does not say who is: it may be none."""
    for path in home.iterdir():
        with suppress(FileNotFoundError):  # where there are no locks somebody else may clear, too
            if (owner := _owner(path)) is not None and _dead(*owner, path):
                shutil.rmtree(path, ignore_errors=True)


def _owner(path: Path) -> tuple[int, str] | None:
    """Process and machine whose folder it is, by its name; None for what is nobody's."""
    parts = path.name.split("-", 3)
    return (int(parts[2]), parts[3]) if path.name.startswith(".") and len(parts) == 4 else None


def _dead(process: int, machine: str, path: Path) -> bool:
    if machine != socket.gethostname():
        return time.time() - max(inside.stat().st_mtime for inside in (path, *path.iterdir())) > OLD
    if process == os.getpid():  # who had our number before us
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, and alive
    return False
