"""Being told to stop, by a time limit, a preemption, a person, a closed terminal: what was learnt is saved first.

SLURM sends USR2 before a time limit or a preemption, because submitit asks it to, and TERM where a cluster does not,
or on scancel and requeue. submitit's own handler for USR2 puts the job back into the queue; for TERM it does nothing,
and a preempted job that leaves of its own accord has failed in the eyes of SLURM: it has to ask for the queue itself.
USR1 is what other launchers and `sbatch --signal=USR1@120` send; nobody waits to queue us again for it, so it means
save and leave. A launcher sees 128 + the signal's number, as of a process that the signal ended.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self

from ablations.sweep.jobs import queue_again_if_preempted

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


class Stop:
    """Takes note of a signal while something must not be torn apart, and leaves at once otherwise; use it in a `with`.

    In a thread that is not the main one nothing is caught, since Python hands signals to the main one.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._holding = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # What is ignored stays so: `nohup` ignores HUP.
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._told) for number in heard}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[Callable[[], bool]]:
        """Signals wait; the function given says whether one has come. Leaves at the end, if so."""
        self._holding = True
        try:
            yield lambda: self.signal is not None
        finally:
            self._holding = False
        if self.signal is not None:
            self.leave()

    def leave(self) -> NoReturn:
        """Ends the process, by way of the queue where submitit waits for that."""
        number = self.signal or signal.SIGTERM
        requeue = self._before.get(number)
        self.__exit__()
        if number == signal.SIGUSR2 and callable(requeue):
            _requeue(requeue)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGTERM:
            queue_again_if_preempted()
        sys.exit(128 + number)

    def _told(self, number: int, _: FrameType | None) -> None:
        impatient = number == self.signal == signal.SIGINT  # Ctrl-C twice: whoever types it wants to leave now
        if self.signal != signal.SIGUSR2:  # "queue me again" is more than "go away", whichever comes first
            self.signal = number
        if impatient or not self._holding:
            self.leave()


def _requeue(handler: Callable[[int, None], object]) -> NoReturn:
    """By submitit's own handler, in the first process of a job. Raises ValueError where the job may not wait again."""
    from submitit.core.utils import UncompletedJobError

    try:
        handler(signal.SIGUSR2, None)
    except UncompletedJobError:
        raise ValueError(
            "the time limit has come more often than cluster.max_num_timeout allows: ask again, and the run goes on"
        ) from None
    os._exit(0)  # any other process: an exit code would end the first one before it has asked
