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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count >= ENOUGH and cores > 1 and threading.active_count() == 1 and "torch" not in sys.modules


def both(first: Callable[[], None], second: Callable[[], Any]) -> Any | None:
    """Does `first` here and `second` in a fork, and returns what that gave; None where it came to nothing.

    `second` gives numbers, strings, lists, tuples and dicts of these.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    fork = os.fork()
    if fork == 0:
        _give(second, reading, writing)
    os.close(writing)
    found = []
    taking = threading.Thread(target=lambda: found.append(_take(reading)))  # a pipe holds little: it must be emptied
    taking.start()
    try:
        first()
    finally:
        taking.join()
        _, status = os.waitpid(fork, 0)
    return marshal.loads(found[0]) if status == 0 else None


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
