"""Each strategy over a grid of settings and seeds."""

from ablations.tables import SCORES, Column, Record, Row
from ablations.tables.spread import Pool, Spread, close, grid_fields, spread
from ablations.writers.grid import NOTHING, Grid, interval_text, listed, plural


def spread_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """A table, or none where the runs are no grid of several tasks."""
    found = spread(table, runs)
    if not found:
        return []
    columns = list(found[0].pools)
    some, decimals = columns[0], SCORES[columns[0].score][1]
    header = ["strategy", *(f"{column.task}, {column.split}" for column in columns)]
    header += ["mean over tasks", "rank", f"minus {baseline} [95 %]"]
    body = []
    for one in found:
        mean = NOTHING if one.mean is None else f"{one.mean:.{decimals}f}"
        line = [one.strategy, *(pool_text(pool, decimals) for pool in one.pools.values())]
        line += [mean if one.mean is None or one.sd is None else f"{mean} ± {one.sd:.{decimals}f}"]
        line += [NOTHING if one.rank is None else str(one.rank)]
        line += ["baseline" if one.baseline else interval_text(one.minus, some)]
        body.append(line)
    notes = [
        f"Each strategy over {_settings(found, table)} and all seeds, {SCORES[some.score][0]}: mean ± sample standard "
        "deviation over n runs, settings and seeds together. Best: the best single run, picked by the score it is "
        "shown with, so it flatters. Runs without a score stand beside n.",
        "Mean over tasks: of the tasks' means; its ± is over the runs of all tasks together, and how far tasks lie "
        "apart is in it. Rank: by this mean, which no test has a say in; none where runs are missing or lost.",
        f"Minus {baseline}: of each seed the mean over all tasks and settings, paired by seed, mean with 95 % t "
        "interval, not adjusted for several comparisons. A seed at which a run is missing or lost is left out.",
        *_closeness(found, columns),
    ]
    return [Grid(f"Over the grid: {SCORES[some.score][0]}", header, body, notes)]


def pool_text(pool: Pool, decimals: int) -> str:
    """Such as `83.20 ± 21.04 (best 99.80, n=10)`, or with `1 diverged` beside n."""
    missing = [f"{count} {status}" for status, count in pool.missing.items()]
    if pool.summary is None or pool.best is None:
        return f"{NOTHING} ({', '.join(missing)})" if missing else NOTHING
    sd = "" if pool.summary.sd is None else f" ± {pool.summary.sd:.{decimals}f}"
    inside = [f"best {pool.best:.{decimals}f}", f"n={pool.summary.n}", *missing]
    return f"{pool.summary.mean:.{decimals}f}{sd} ({', '.join(inside)})"


def _settings(found: list[Spread], table: list[Row]) -> str:
    """What the grid is; how many settings each strategy has where they differ, as the means are of unlike grids."""
    which = "; ".join(f"{name} {', '.join(values)}" for name, values in grid_fields(table).items())
    grid = f" ({which})" if which else ""
    counts = {one.settings for one in found}
    if len(counts) == 1:
        return f"{plural(counts.pop(), 'setting')}{grid}"
    each = [f"{one.strategy} {plural(one.settings, 'setting')}" for one in found]
    return f"unlike grids{grid}, {listed(each)},"


def _closeness(found: list[Spread], columns: list[Column]) -> list[str]:
    counts = {column.task: close(found, column) for column in columns}
    said = [f"{task} {few} of {plural(many, 'pair')}" for task, (few, many) in counts.items() if many]
    if not said:
        return []
    few, many = (sum(count[place] for count in counts.values()) for place in (0, 1))
    return [
        f"Pairs of strategies whose means differ by no more than the larger of their two standard deviations: {few} of "
        f"{many} ({', '.join(said)})."
    ]
