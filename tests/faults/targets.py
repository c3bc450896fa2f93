"""What a fuzzer calls, entry by entry.

A target is made once, in a folder of its own. `make` turns a fuzzer's bytes into an input, which is mostly a right one
with something wrong in it; `read` gives that to the entry. It returns where the input is accepted, raises what the
entry raises where it is refused, and AssertionError where the entry takes what it must not.
"""

from pathlib import Path
from typing import Any, Protocol

from tests.faults.entries.caches import Caches
from tests.faults.entries.checkpoints import Checkpoints
from tests.faults.entries.corpora import Corpora
from tests.faults.entries.overrides import Overrides
from tests.faults.entries.records import Records


class Target(Protocol):
    """One entry."""

    def __init__(self, folder: Path): ...

    def make(self, data: bytes) -> tuple:
        """What `read` is given."""
        ...

    def read(self, *made: Any) -> object:
        """What the entry does with it."""
        ...


TARGETS: dict[str, type[Target]] = {
    "overrides": Overrides,
    "record": Records,
    "checkpoint": Checkpoints,
    "corpora": Corpora,
    "cache": Caches,
}
