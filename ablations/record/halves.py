"""Two processes for one long list: a fork does the second half while we do the first.

For work that Python does on one core. What the fork has found comes back as plain data; whatever goes wrong there, its
half is done here, and what is to be said of it is said here.
"""

import marshal
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

ENOUGH = 1000  # below, a fork and the way back take longer than they spare


def worth_it(count: int) -> bool:
    """Whether a second core would help, and a fork is safe: there are no threads but ours, which it would lose."""
    if not hasattr(os, "fork"):
        return False
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count >= ENOUGH and cores > 1 and threading.active_count() == 1 and "torch" not in sys.modules


def both(first: Callable[[], object], second: Callable[[], Any]) -> Any | None:
    """Does `first` here and `second` in a fork, and returns what that gave; None where it came to nothing.

    `second` gives numbers, strings, lists, tuples and dicts of these. Where the machine has no process, pipe or thread
    to spare, `first` is done all the same.
    """
    found: list[bytes] = []
    fork = _fork(second, found)
    if fork is None:
        first()
        return None
    process, taking = fork
    try:
        first()
    finally:
        taking.join()
        _, status = os.waitpid(process, 0)
    return marshal.loads(found[0]) if status == 0 else None


def _fork(second: Callable[[], Any], found: list[bytes]) -> tuple[int, threading.Thread] | None:
    """A process that does `second`, and the thread that takes what it gives; None, and nothing left, without them."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    try:
        process = os.fork()
        if process == 0:
            _give(second, reading, writing)
    except OSError:
        os.close(reading)
        return None
    finally:
        os.close(writing)
    taking = threading.Thread(target=lambda: found.append(_take(reading)))  # a pipe holds little: it must be emptied
    try:
        taking.start()
    except RuntimeError:
        os.close(reading)  # the fork finds nobody to give to, and ends
        os.waitpid(process, 0)
        return None
    return process, taking


def _give(second: Callable[[], Any], reading: int, writing: int) -> None:
    """In the fork; it ends here, without the clean-up that is its parent's."""
    try:
        os.close(reading)
        with open(writing, "wb") as file:
            marshal.dump(second(), file)
        os._exit(0)
    except BaseException:
        os._exit(1)


def _take(reading: int) -> bytes:
    with open(reading, "rb") as file:
        return file.read()
