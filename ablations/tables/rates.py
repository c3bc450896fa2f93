"""Learning rates: each strategy at the rate that validates best, all having tried equally many.

The best of several is best by luck, too. Where it is then compared on other text that luck is gone; a task without a
test split has no other, and an interval there would promise more than it keeps.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property

from ablations import stats
from ablations.tables.baseline import unmatched
from ablations.tables.columns import Column, Record, nll_of
from ablations.tables.rows import Row, compared
from ablations.tables.settings import determined, general, number_of

RATE = "optim.lr"
CHOICE = "valid"  # the split by which a rate is chosen


@dataclass(frozen=True)
class Tuned:
    """One strategy on one task: its rows by rate, and the best of them by the loss on CHOICE.

    A score on another split is one on text that had no say in the choice; a score on CHOICE, or on the headline's split
    where the task has no other, is picked as the best of several and flatters. See `at_their_best`.
    """

    name: str
    baseline: bool
    task: str
    rest: tuple[str, ...]
    rows: dict[str, Row]  # rate -> row, from the smallest rate
    by_seed: dict[str, dict[int, float]]  # rate -> seed -> loss on CHOICE, in nats, of the runs that came to one
    diverged: dict[str, int]  # rate -> runs
    failed: int

    @cached_property
    def losses(self) -> dict[str, float]:
        """Rate -> mean over seeds."""
        return {rate: math.fsum(found.values()) / len(found) for rate, found in self.by_seed.items()}

    @property
    def best(self) -> str | None:
        """The rate of the lowest mean loss, of those with the most seeds, where no run diverged if there is such a one.

        A mean over fewer seeds is another mean: `fewer` says which rates stand back for that. None without a loss.
        """
        return min(self._choice, key=lambda rate: self.losses[rate], default=None)

    @property
    def fewer(self) -> dict[str, int]:
        """Rate -> seeds, where no run diverged and yet there are fewer than at the best one."""
        most = len(self.by_seed[self.best]) if self.best else 0
        counts = {rate: len(found) for rate, found in self.by_seed.items() if not self.diverged.get(rate)}
        return {rate: count for rate, count in counts.items() if count < most}

    @property
    def edge(self) -> bool:
        """Whether a rate beyond those tried might do better yet."""
        return len(self.tried) > 1 and self.best in (self.tried[0], self.tried[-1])

    @property
    def beyond(self) -> list[str]:
        """The rates next to the best one at which runs diverged, where it is the first or last that trained.

        Then no grid between the two has been tried, and the best may lie there.
        """
        if self.best is None:
            return []
        place = self.tried.index(self.best)
        trained = [index for index, rate in enumerate(self.tried) if not self.diverged.get(rate)]
        found = []
        if place in trained and place == trained[0] > 0:
            found.append(self.tried[place - 1])
        if place in trained and place == trained[-1] < len(self.tried) - 1:
            found.append(self.tried[place + 1])
        return found

    @cached_property
    def tried(self) -> list[str]:
        """Rates at which some run did not fail, from the smallest."""
        return [rate for rate in self.rows if self._runs(rate)]

    @property
    def budget(self) -> tuple[int, int]:
        """Rates and runs tried; one that failed has not been."""
        return len(self.tried), sum(len(self._runs(rate)) for rate in self.tried)

    @property
    def _choice(self) -> list[str]:
        rates = [rate for rate in self.by_seed if not self.diverged.get(rate)] or list(self.by_seed)
        most = max((len(self.by_seed[rate]) for rate in rates), default=0)
        return [rate for rate in rates if len(self.by_seed[rate]) == most]

    def _runs(self, rate: str) -> list[Record]:
        return [run for run in self.rows[rate].runs if run["task"] == self.task and run["status"] != "failed"]


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
    """As of rows: the baseline of the same rest, or the only one that agrees in all but sizes, or the only one."""
    bases = [other for other in among if other.baseline]
    same = [other for other in bases if other.rest == one.rest]
    but_sizes = [other for other in bases if unmatched(other.rest) == unmatched(one.rest)]
    found = (candidates[0] for candidates in (same, but_sizes, bases) if len(candidates) == 1)
    return None if one.baseline else next(found, None)


def at_their_best(one: Tuned, base: Tuned, column: Column) -> stats.Comparison | None:
    """Each at its own rate, by seed. None where one of them has none, or they share no seed.

    Compared on the split by which both were chosen there is a difference and neither interval nor p: the test would
    take the best of several rates for the only one.
    """
    if one.best is None or base.best is None:
        return None
    found = compared(one.rows[one.best], base.rows[base.best], column)
    if found is None or column.split != CHOICE:
        return found
    return replace(found, difference=replace(found.difference, low=None, high=None), p=None, floor=None)


def _tuned(strategy: str, rest: tuple[str, ...], rows: list[Row], task: str) -> Tuned:
    by_rate = {row.setting.fields()[RATE]: row for row in rows}
    by_rate = {rate: by_rate[rate] for rate in sorted(by_rate, key=number_of)}
    losses, diverged, failed = {}, Counter(), 0
    for rate, row in by_rate.items():
        runs = [run for run in row.runs if run["task"] == task]
        found = {run["seed"]: nll_of(run, CHOICE) for run in runs if run["status"] == "finished"}
        there = {seed: loss for seed, loss in sorted(found.items()) if loss is not None}
        if there:
            losses[rate] = there
        failed += sum(run["status"] == "failed" for run in runs)
        if lost := sum(run["status"] == "diverged" for run in runs) + len(found) - len(there):
            diverged[rate] = lost
    return Tuned(", ".join([strategy, *rest]), rows[0].baseline, task, rest, by_rate, losses, dict(diverged), failed)
