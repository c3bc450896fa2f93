"""How often a test rejected or an interval held, as rows of a table, and whether that keeps to its bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablations import stats
from ablations.bench.report import Table
from ablations.stats import checkpoints, crossed
from ablations.stats.seeds import LEVEL
from ablations.stats.student import quantile

ALPHA = 1 - LEVEL
TEST, INTERVAL, AT_MOST = (3.5, 6.5), (93.5, 96.5), (0.0, 6.5)  # bars, in percent
Rates = dict[tuple[str, int | str], list[bool]]


@dataclass(frozen=True)
class Line:
    """A row: which bar holds for it, and why not if it misses it for a known reason."""

    what: str
    bar: tuple[float, float] | None
    remark: str = ""


def holds(interval: stats.Summary | crossed.Estimate | checkpoints.Centred, truth: float) -> bool:
    """Whether the truth lies within."""
    assert interval.low is not None and interval.high is not None
    return interval.low <= truth <= interval.high


def attained(n: int) -> float:
    """The largest level up to 5 % that an exact sign-flip test of n pairs without ties can have."""
    return int(ALPHA * 2 ** (n - 1) + 1e-9) / 2 ** (n - 1)


def table(
    title: str,
    columns: Sequence[int] | Sequence[str],
    found: Rates,
    lines: list[Line],
    notes: list[str],
    barred: Sequence[str] | None = None,
) -> Table:
    """Rates with their intervals, and whether they keep to the bar, in all columns or in those that are `barred`."""
    rows = []
    for line in lines:
        rates = {column: found[line.what, column] for column in columns if (line.what, column) in found}
        cells = [text(rates[column]) if column in rates else "" for column in columns]
        rows.append([line.what, *cells, *judged(line, {c: rates[c] for c in barred or columns if c in rates})])
    heads = [f"n = {column}" if isinstance(column, int) else column for column in columns]
    return Table(title, ["what", *heads, "bar", "kept"], rows, notes)


def judged(line: Line, rates: Mapping[int | str, list[bool]]) -> list[str]:
    """The bar, and where it is missed."""
    if line.bar is None:
        return ["none", "for comparison"]
    low, high = line.bar
    missed = [str(column) for column, hits in rates.items() if not low <= round(100 * np.mean(hits), 2) <= high]
    told = f"not at {', '.join(missed)}" if missed else "yes"
    return [f"{low:g} to {high:g}", f"{told}: {line.remark}" if missed and line.remark else told]


def text(hits: list[bool]) -> str:
    """Such as `5.1 [4.2, 6.1]`, Wilson's interval."""
    n, rate, z = len(hits), float(np.mean(hits)), quantile((1 + LEVEL) / 2, 1e9)
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (rate * (1 - rate) / n + z**2 / (4 * n**2)) ** 0.5
    return f"{100 * rate:.1f} [{100 * max(0.0, middle - half):.1f}, {100 * min(1.0, middle + half):.1f}]"
