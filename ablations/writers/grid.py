"""A table as text, not yet escaped, and how its numbers read."""

import math
from dataclasses import dataclass, field
from typing import Any

from ablations import stats
from ablations.tables import SCORES, Cell, Column, Row

NOTHING = "—"


@dataclass(frozen=True)
class Grid:
    """A table as text, not yet escaped. Without a body it is its notes."""

    title: str
    header: list[str]
    body: list[list[str]]
    notes: list[str] = field(default_factory=list)
    detail: bool = False  # for the page of all tables, and no other


def cell_text(cell: Cell | None, column: Column) -> str:
    """Such as `27.31 ± 0.14 (n=5)`, `27.31 (n=1)` or `27.31 ± 0.14 (n=4, 1 diverged)`."""
    if cell is None:
        return NOTHING
    if cell.summary is None:
        return lost_text(cell)
    missing = [f"{count} {status}" for status, count in cell.missing.items()]
    decimals = SCORES[column.score][1]
    spread = "" if cell.summary.sd is None else f" ± {cell.summary.sd:.{decimals}f}"
    return f"{cell.summary.mean:.{decimals}f}{spread} ({', '.join([f'n={cell.summary.n}', *missing])})"


def lost_text(cell: Cell) -> str:
    """What became of the runs where there is no number, such as `— (2 diverged)`."""
    missing = [f"{count} {status}" for status, count in cell.missing.items()]
    return f"{NOTHING} ({', '.join(missing)})" if missing else NOTHING


def lost_word(cell: Cell) -> str:
    """In place of a verdict, where no run came to a score: `diverged`, `failed` or `no score`."""
    return listed(list(cell.missing)) if cell.summary is None and cell.missing else NOTHING


def difference_text(row: Row, column: Column) -> str:
    """A row minus the baseline's, such as `-2.00 [-2.43, -1.57]`."""
    cell = row.cells.get(column)
    if row.baseline and cell is not None:
        return "baseline"
    return interval_text(cell.comparison if cell else None, column)


def interval_text(comparison: stats.Comparison | None, column: Column) -> str:
    """A mean difference with its interval of 95 %, or the number of pairs where it has none."""
    if comparison is None:
        return NOTHING
    difference, decimals = comparison.difference, SCORES[column.score][1]
    if difference.low is None or difference.high is None:
        return f"{difference.mean:+.{decimals}f} ({'one pair' if difference.n == 1 else f'{difference.n} pairs'})"
    return with_interval(*(f"{size:+.{decimals}f}" for size in (difference.mean, difference.low, difference.high)))


def with_interval(middle: str, low: str, high: str) -> str:
    """An estimate and its interval."""
    return f"{middle} [{low}, {high}]"


def margin_text(column: Column, margin: float | None) -> str:
    """A margin on the scale of the tests, such as `0.5 BLEU` or `1 %`."""
    if margin is None:
        return NOTHING
    return f"{100 * math.expm1(margin):.4g} %" if column.ratio else f"{margin:g} {SCORES[column.score][0]}"


def margins_in_words(study: dict[str, Any]) -> list[str]:
    """What a study called small before its first run, such as `0.5 BLEU` and `1 % of perplexity`."""
    bleu, share = study.get("margin_bleu"), study.get("margin_perplexity")
    found = [] if bleu is None else [f"{bleu:g} BLEU"]
    return found if share is None else [*found, f"{100 * share:g} % of perplexity"]


def scale_text(column: Column, size: float | None) -> str:
    """A difference on the scale of the tests: of a perplexity in percent of it."""
    if size is None:
        return NOTHING
    return f"{100 * math.expm1(size):.3g} %" if column.ratio else f"{size:.3g}"


def change_text(column: Column, size: float) -> str:
    """A difference on the scale of the tests with its sign, such as `-0.31` or `+1.20 %`."""
    return f"{100 * math.expm1(size):+.2f} %" if column.ratio else f"{size:+.{SCORES[column.score][1]}f}"


def p_text(p: float | None) -> str:
    """Three digits; what is smaller than anybody should believe is not spelt out."""
    return NOTHING if p is None else "< 0.0001" if p < 1e-4 else f"{p:.3g}"


def costs_text(by_task: dict[str, Any], tasks: list[str], form: str = ",") -> str:
    """One number, or those of the tasks in their order where they differ."""
    return " / ".join(dict.fromkeys(f"{by_task[task]:{form}}" for task in tasks if task in by_task)) or NOTHING


def plural(count: int, one: str, many: str = "") -> str:
    """Such as "1 run" and "2 runs"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
