"""Spread: each strategy over a whole grid of settings and seeds, task by task, as arXiv 2606.04032 reports it.

There is one for several tasks of one score that has a mean over tasks, and where every strategy stands at two settings
or more. Of one task the tables by axis and by learning rate say the same and more; of one setting the headline does.
Perplexities of different texts have no mean.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ablations import stats
from ablations.tables.columns import Column, Record, headline_columns
from ablations.tables.rows import Row
from ablations.tables.settings import determined, general, number_of, rank


@dataclass(frozen=True)
class Pool:
    """All runs of a strategy on a task."""

    summary: stats.Summary | None  # none: no run came to a score
    best: float | None  # of a single run
    missing: dict[str, int]  # "diverged", "failed" or "no score" -> number of runs


@dataclass(frozen=True)
class Spread:
    """One strategy over the grid."""

    strategy: str
    baseline: bool
    settings: int
    pools: dict[Column, Pool]
    mean: float | None  # of the tasks' means; none where a task has none
    sd: float | None  # of the runs of all tasks together
    rank: int | None  # by the mean, 1 for the best; equal means share one; none at all where runs are missing or lost
    minus: stats.Comparison | None  # the baseline, by seed: each seed's mean over tasks of its mean over the grid


def spread(table: list[Row], runs: list[Record]) -> list[Spread]:
    """The strategies in the order of the rows, the baseline first. None where there is no such grid."""
    columns = grid_columns(runs)
    by_strategy: dict[str, list[Row]] = defaultdict(list)
    for row in table:
        by_strategy[row.setting.strategy].append(row)
    alike = {column.score for column in columns}
    if len(columns) < 2 or len(alike) > 1 or not columns[0].higher or len(by_strategy) < 2:
        return []
    if any(len(rows) < 2 for rows in by_strategy.values()):
        return []
    pools = {name: {column: _pool(rows, column) for column in columns} for name, rows in by_strategy.items()}
    means = {name: _mean_of_tasks(list(found.values())) for name, found in pools.items()}
    # A mean without the runs that diverged, or over another grid, is that of other runs.
    whole = len({tuple(_counted(found)) for found in pools.values()}) == 1
    order = sorted((mean for mean in means.values() if mean is not None and whole), reverse=True)
    base = [row for row in table if row.baseline]
    return [
        Spread(
            name,
            rows[0].baseline,
            len(rows),
            pools[name],
            mean := means[name],
            _deviation(rows, columns),
            order.index(mean) + 1 if mean in order else None,
            None if rows[0].baseline else _minus(rows, base, columns),
        )
        for name, rows in by_strategy.items()
    ]


def grid_columns(runs: list[Record]) -> list[Column]:
    """The first of each task's headline columns."""
    first: dict[str, Column] = {}
    for column in headline_columns(runs):
        first.setdefault(column.task, column)
    return list(first.values())


def grid_fields(table: list[Row]) -> dict[str, list[str]]:
    """What the grid varies, with its values in order; without fields that follow from another of them."""
    settings = [row.setting for row in table]
    names = sorted({name for setting in settings for name in setting.fields() if general(name)}, key=rank)
    leading: list[str] = []
    for name in names:
        if not any(determined(name, other, settings) for other in leading):
            leading.append(name)
    fields = [setting.fields() for setting in settings]
    return {name: sorted({one[name] for one in fields if name in one}, key=number_of) for name in leading}


def close(found: list[Spread], column: Column) -> tuple[int, int]:
    """Pairs of strategies whose means are no further apart than the larger of their deviations; and all pairs."""
    summaries = [one.pools[column].summary for one in found]
    known = [(one.mean, one.sd) for one in summaries if one is not None and one.sd is not None]
    pairs = [(one, other) for index, one in enumerate(known) for other in known[:index]]
    return sum(abs(one[0] - other[0]) <= max(one[1], other[1]) for one, other in pairs), len(pairs)


def _pool(rows: list[Row], column: Column) -> Pool:
    scores, missing = _scores(rows, column), Counter()
    for row in rows:
        if column in row.cells:
            missing.update(row.cells[column].missing)
    summary = stats.summarize(scores) if scores else None
    return Pool(summary, max(scores, default=None), dict(sorted(missing.items())))


def _counted(pools: dict[Column, Pool]) -> list[object]:
    """Task by task the number of scores; what lacks some is like nothing else."""
    return [pool.summary.n if pool.summary and not pool.missing else object() for pool in pools.values()]


def _scores(rows: list[Row], column: Column) -> list[float]:
    return [score for row in rows if column in row.cells for score in row.cells[column].scores.values()]


def _mean_of_tasks(pools: Sequence[Pool]) -> float | None:
    means = [pool.summary.mean for pool in pools if pool.summary is not None]
    return math.fsum(means) / len(means) if len(means) == len(pools) else None


def _deviation(rows: list[Row], columns: list[Column]) -> float | None:
    scores = [score for column in columns for score in _scores(rows, column)]
    return stats.deviation(scores) if len(scores) > 1 else None


def _minus(rows: list[Row], base: list[Row], columns: list[Column]) -> stats.Comparison | None:
    """None unless each setting has one of the baseline's as its opponent, each another, and none is left over."""
    opponents = {row.setting: row for row in base}
    against = [opponents[row.against] for row in rows if row.against is not None]
    if len(against) != len(rows) or {row.setting for row in against} != opponents.keys() or len(rows) != len(base):
        return None
    return stats.compare(_by_seed(rows, columns), _by_seed(against, columns))


def _by_seed(rows: list[Row], columns: list[Column]) -> dict[int, float]:
    """Seed -> mean over tasks and settings, for the seeds that have a score at every one of them."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        for column in columns:
            for seed, score in row.cells[column].scores.items() if column in row.cells else ():
                found[seed].append(score)
    return {seed: math.fsum(one) / len(one) for seed, one in found.items() if len(one) == len(rows) * len(columns)}
