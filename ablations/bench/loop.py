"""Loops that stand still between two steps, so that whole programs can be timed in turn."""

import threading
from collections.abc import Callable


class Loop:
    """A program in a thread of its own that runs for as many steps as it is given.

    `body(between)` is the program: it calls `between()` behind every step, and leaves when that answers True. Whatever
    it does before its first step is done in the first call of `steps`. Only one thread ever works, the others wait.
    """

    def __init__(self, body: Callable[[Callable[[], bool]], object]):
        self._body = body
        self._go, self._arrived = threading.Semaphore(0), threading.Semaphore(0)
        self._left, self._leaving, self._over = 0, False, False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def steps(self, count: int) -> int:
        """Lets it run so many steps, and says how many. Raises what the program raises."""
        assert not self._over, "the loop has ended"
        self._left = count
        self._resume()
        if self._error is not None:
            raise self._error
        if self._over:
            raise ValueError("a loop that was to be timed has come to its end: give it more steps")
        return count

    def close(self) -> None:
        """Asks the program to leave, and waits until it has."""
        if not self._over:
            self._leaving = True
            self._resume()
        self._thread.join()

    def _resume(self) -> None:
        self._go.release()
        self._arrived.acquire()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._leaving:
                self._body(self._between)
        except BaseException as error:  # raised again where the loop is timed
            self._error = error
        finally:
            self._over = True
            self._arrived.release()

    def _between(self) -> bool:
        self._left -= 1
        if self._left <= 0 and not self._leaving:
            self._arrived.release()
            self._go.acquire()
        return self._leaving
