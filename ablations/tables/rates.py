"""Learning rates: each strategy at the rate that validates best, all having tried equally many."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from ablations import stats
from ablations.tables.columns import Column
from ablations.tables.rows import Row, compared
from ablations.tables.settings import determined, general, number_of

RATE = "optim.lr"


@dataclass(frozen=True)
class Tuned:
    """One strategy on one task: its rows by rate."""

    name: str
    baseline: bool
    task: str
    rest: tuple[str, ...]
    rows: dict[str, Row]  # rate -> row, from the smallest rate
    losses: dict[str, float]  # rate -> mean loss on validation, in nats, of the runs that came to one
    diverged: dict[str, int]  # rate -> runs
    failed: int

    @property
    def best(self) -> str | None:
        """The rate of the lowest mean loss, of those where no run diverged if there is one. None without a loss."""
        rates = [rate for rate in self.losses if not self.diverged.get(rate)] or list(self.losses)
        return min(rates, key=lambda rate: self.losses[rate], default=None)

    @property
    def edge(self) -> bool:
        """Whether a rate beyond those tried might do better yet."""
        rates = list(self.rows)
        return len(rates) > 1 and self.best in (rates[0], rates[-1])

    @property
    def budget(self) -> tuple[int, int]:
        """Rates and runs tried."""
        runs = [run for row in self.rows.values() for run in row.runs if run["task"] == self.task]
        return len(self.rows), len(runs)


def tuned(table: list[Row], task: str) -> list[Tuned]:
    """Every strategy of a task, the baseline first. None where no strategy has tried two rates."""
    mine = [row for row in table if any(run["task"] == task for run in row.runs) and RATE in row.setting.fields()]
    names = {name for row in mine for name in row.setting.fields()} - {RATE}
    following = {name for name in names if general(name) and determined(name, RATE, [row.setting for row in mine])}
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = defaultdict(list)
    for row in mine:
        fields = row.setting.fields()
        rest = tuple(f"{name}={value}" for name, value in fields.items() if name not in {RATE, *following})
        groups[row.setting.strategy, rest].append(row)
    found = [_tuned(strategy, rest, rows, task) for (strategy, rest), rows in groups.items()]
    return found if any(len(one.rows) > 1 for one in found) else []


def opponent(one: Tuned, among: list[Tuned]) -> Tuned | None:
    """The baseline of the same rest, or the only one there is."""
    bases = [other for other in among if other.baseline]
    same = [other for other in bases if other.rest == one.rest]
    return None if one.baseline else next(iter(same or (bases if len(bases) == 1 else [])), None)


def at_their_best(one: Tuned, base: Tuned, column: Column) -> stats.Comparison | None:
    """Each at its own rate, by seed. None where one of them has none, or they share no seed."""
    if one.best is None or base.best is None:
        return None
    return compared(one.rows[one.best], base.rows[base.best], column)


def _tuned(strategy: str, rest: tuple[str, ...], rows: list[Row], task: str) -> Tuned:
    by_rate = {row.setting.fields()[RATE]: row for row in rows}
    by_rate = {rate: by_rate[rate] for rate in sorted(by_rate, key=number_of)}
    losses, diverged, failed = {}, Counter(), 0
    for rate, row in by_rate.items():
        runs = [run for run in row.runs if run["task"] == task]
        found = [_loss(run) for run in runs if run["status"] == "finished"]
        there = [loss for loss in found if loss is not None]
        if there:
            losses[rate] = math.fsum(there) / len(there)
        failed += sum(run["status"] == "failed" for run in runs)
        if lost := sum(run["status"] == "diverged" for run in runs) + len(found) - len(there):
            diverged[rate] = lost
    return Tuned(", ".join([strategy, *rest]), rows[0].baseline, task, rest, by_rate, losses, dict(diverged), failed)


def _loss(run: dict) -> float | None:
    return (run.get("scores") or {}).get("valid", {}).get("nll")
