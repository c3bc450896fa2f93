"""Times that hold on noisy machines: contenders in turn, in one process, and the ratio of neighbours.

On a CPU the clock counts the seconds that this process computed, on all its threads, so that other people's work slows
it only through caches and memory; on a GPU it counts seconds of the wall until the device is idle.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Samples = dict[str, list[float]]  # seconds a unit, one number a round, the rounds of all contenders in the same order


@dataclass(frozen=True)
class Spread:
    """A median, the quartiles around it, and how many numbers they were taken of."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def spread(values: list[float]) -> Spread:
    """Median and quartiles; of a single number that number."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(median, low, high, len(values))


def ratio(samples: Samples, slow: str, fast: str) -> Spread:
    """How many times the seconds of `fast` are in those of `slow`, round by round."""
    return spread([a / b for a, b in zip(samples[slow], samples[fast], strict=True)])


def clock(device: torch.device) -> Callable[[], float]:
    """What tells the time for work on this device, in seconds."""
    if device.type == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


@dataclass(frozen=True)
class Work:
    """Something to time: `run(n)` does n pieces of it; `units(n)`, not timed, says how many units they were."""

    run: Callable[[int], object]
    units: Callable[[int], float] = float


def once(work: Callable[[], object]) -> Work:
    """A call is a piece and a unit."""

    def run(n: int) -> None:
        for _ in range(n):
            work()

    return Work(run)


def interleaved(works: Mapping[str, Work], rounds: int, now: Callable[[], float], seconds: float = 0.3) -> Samples:
    """Seconds a unit of each work, `rounds` times in turn, every other round from the last to the first.

    A sample takes as many pieces as fill about `seconds`, by what a piece took in rounds that only warm up; with 0
    seconds one piece, after one that warms up.
    """
    pieces = {}
    for name, work in works.items():
        timed(work, 1, now)
        pieces[name] = max(1, round(seconds / max(timed(work, 1, now)[0], 1e-6))) if seconds else 1
    samples: Samples = {name: [] for name in works}
    for number in range(rounds):
        for name in works if number % 2 == 0 else reversed(list(works)):
            used, units = timed(works[name], pieces[name], now)
            samples[name].append(used / units)
    return samples


def timed(work: Work, pieces: int, now: Callable[[], float]) -> tuple[float, float]:
    """Seconds and units of so many pieces."""
    begun = now()
    work.run(pieces)
    return now() - begun, work.units(pieces)
