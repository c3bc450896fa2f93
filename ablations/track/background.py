"""A dashboard that takes its time to start, while training goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ablations.track.outcome import Outcome
from ablations.track.tracker import Line, Mirror


class Background:
    """Starts a mirror in a thread of its own and shows it everything as soon as it is there, at the latest at the end.

    `start` gives None where there is no mirror to be had. What it raises comes out of the next call.
    """

    def __init__(self, name: str, start: Callable[[], Mirror | None]):
        self.name = name
        self._waiting: list[tuple[str, Any]] = []
        self._starting = ThreadPoolExecutor(1).submit(start)

    def log(self, line: Line) -> None:
        """Now or later."""
        self._hand_on("log", line)

    def show(self, outcome: Outcome) -> None:
        """Now or later."""
        self._hand_on("show", outcome)

    def close(self, failed: bool) -> None:
        """Waits for the start first."""
        self._starting.exception()
        self._hand_on("close", failed)

    def _hand_on(self, method: str, given: Any) -> None:
        self._waiting.append((method, given))
        if self._starting.done():
            mirror, waiting, self._waiting = self._starting.result(), self._waiting, []
            for name, what in waiting if mirror is not None else []:
                getattr(mirror, name)(what)
