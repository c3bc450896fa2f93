"""Seeds as dots and means with intervals, on axes that a wide interval cannot take over."""

from collections.abc import Iterable, Sequence
from typing import Any

from ablations.figures.style import Look
from ablations.stats import Summary
from ablations.tables import Cell

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


def limits(inner: Iterable[float], summaries: Iterable[Summary]) -> tuple[float, float]:
    """Of an axis: room for all of `inner`, for the means, and for as much of the intervals as leaves these readable.

    With two seeds an interval is 13 times as wide as the seeds are apart, with three mostly three times.
    """
    summaries = list(summaries)
    inner = [*inner, *(summary.mean for summary in summaries)]
    ends = [end for summary in summaries for end in (summary.low, summary.high) if end is not None]
    least, most = min(inner), max(inner)
    room = (most - least) or abs(most) or 1.0
    low = max(min([least, *ends]), least - room)
    high = min(max([most, *ends]), most + room)
    edge = 0.05 * ((high - low) or room)
    return low - edge, high + edge


def label(name: str, cell: Cell) -> str:
    """Such as "shared (n=4, 1 diverged)"."""
    counts = [f"n={cell.summary.n if cell.summary else 0}", *(f"{n} {what}" for what, n in cell.missing.items())]
    return f"{name} ({', '.join(counts)})"


def words(summary: Summary, form: str) -> str:
    """Mean and interval, such as "27.31 [26.9, 27.7]"; `form` is a format specification."""
    between = "" if summary.low is None else f" [{summary.low:{form}}, {summary.high:{form}}]"
    return f"{summary.mean:{form}}{between}"
