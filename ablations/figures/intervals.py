"""Seeds as dots and means with intervals, on axes that a wide interval cannot take over."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ablations.figures.style import Look
from ablations.stats import Summary
from ablations.tables import Cell, Column

BESIDE = 0.24  # of a row, between dots and mean


def row(panel: Any, height: int, look: Look, dots: Sequence[float], summary: Summary) -> None:
    """Dots above, mean and interval below, about `height`. The axis must have its limits already."""
    rings = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markerfacecolor": "none", "zorder": 3}
    panel.plot(dots, [height - BESIDE / 2] * len(dots), markeredgecolor=look.colour, markeredgewidth=0.9, **rings)
    bar(panel, look, height + BESIDE / 2, summary)
    panel.plot([summary.mean], [height + BESIDE / 2], zorder=4, **look.point)


def bar(panel: Any, look: Look, at: float, summary: Summary, upright: bool = False, **style: Any) -> None:
    """The interval as a line, with an arrow at the edge of the axis where it reaches beyond."""
    if summary.low is None or summary.high is None:
        return
    ends, line = [summary.low, summary.high], {"color": look.colour, "linewidth": 1.3, "zorder": 2} | style
    panel.plot(*([[at, at], ends] if upright else [ends, [at, at]]), **line)
    low, high = panel.get_ylim() if upright else panel.get_xlim()
    for beyond, edge, mark in (
        (ends[0] < low, low, "v" if upright else "<"),
        (ends[1] > high, high, "^" if upright else ">"),
    ):
        if beyond:
            place = ([at], [edge]) if upright else ([edge], [at])
            panel.plot(*place, marker=mark, color=look.colour, markersize=4.5, clip_on=False, zorder=5, **style)


def possible(column: Column) -> tuple[float, float | None]:
    """Between which a score lies, whatever it is of: those in percent, and those without an upper end."""
    return 0.0, 100.0 if column.higher else None


def limits(
    inner: Iterable[float],
    summaries: Iterable[Summary],
    ends: tuple[float | None, float | None] = (None, None),
) -> tuple[float, float]:
    """Of an axis: room for all of `inner`, for the means, and for as much of the intervals as leaves these readable.

    With two seeds an interval is 13 times as wide as the seeds are apart, with three mostly three times. `ends`: the
    axis reaches beyond them only by the edge that a dot on them needs, though an interval may.
    """
    summaries = list(summaries)
    inner = [*inner, *(summary.mean for summary in summaries)]
    reach = [end for summary in summaries for end in (summary.low, summary.high) if end is not None]
    least, most = min(inner), max(inner)
    room = (most - least) or abs(most) or 1.0
    low = max(min([least, *reach]), least - room)
    high = min(max([most, *reach]), most + room)
    least_end, most_end = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
    low, high = max(low, min(least_end, least)), min(high, max(most_end, most))
    edge = 0.05 * ((high - low) or room)
    low, high = low - edge, high + edge
    return max(low, least_end) if least > least_end else low, min(high, most_end) if most < most_end else high


def label(name: str, cell: Cell) -> str:
    """Such as "shared (n=4, 1 diverged)"."""
    counts = [f"n={cell.summary.n if cell.summary else 0}", *(f"{n} {what}" for what, n in cell.missing.items())]
    return f"{name} ({', '.join(counts)})"


def words(summary: Summary, form: str) -> str:
    """Mean and interval, such as "27.31 [26.9, 27.7]"; `form` is a format specification."""
    between = "" if summary.low is None else f" [{summary.low:{form}}, {summary.high:{form}}]"
    return f"{summary.mean:{form}}{between}"
