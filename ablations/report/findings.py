"""Each headline difference of a setting to its baseline: numbers as text, and what they come to."""

import math
from collections import Counter
from dataclasses import dataclass

from ablations import stats, tables
from ablations.report.parts import Record

NOT_TESTED, NO_PAIR = "not tested", "no pair"
ORDER = (*stats.VERDICTS, NOT_TESTED, NO_PAIR)


@dataclass(frozen=True)
class Finding:
    """One comparison by seed. A mean without an interval is that of one seed; without a mean there was no pair."""

    setting: str
    against: str  # the baseline's setting
    column: tables.Column
    difference: str
    percent: str  # the same of a perplexity as a share, by the mean of logarithms, which is what is tested
    interval: str
    pairs: int
    verdict: str  # one of ORDER
    margin: float | None  # on the scale of the tests; None: the study fixed none for this score
    lost: str  # runs without a score, such as "1 diverged"

    @property
    def sentence(self) -> str:
        """Such as "shared instead of separate on docs, test: BLEU +1.00, 95 % interval ...; verdict: better."."""
        said = f"{tables.SCORES[self.column.score][0]} {self.difference}" if self.difference else "no pair of seeds"
        if self.percent:
            said += f" ({self.percent})"
        if self.interval:
            said += f", 95 % interval {self.interval}, {self.pairs} seeds; verdict: {self.verdict}"
        elif self.difference:
            said += " of one seed, which has no interval and was not tested"
        lost = f"; {self.lost}" if self.lost else ""
        where = f"{self.column.task}, {self.column.split}"
        return f"{self.setting} instead of {self.against} on {where}: {said}{lost}."


def findings(table: list[tables.Row], runs: list[Record]) -> list[Finding]:
    """Of every setting that has a row of the baseline to be compared with, by score."""
    by_setting = {row.setting: row for row in table}
    found = []
    for column in tables.headline_columns(runs):
        for row in table:
            cell, base = row.cells.get(column), by_setting.get(row.against) if row.against else None
            if cell is not None and base is not None:
                found.append(_finding(row, base, cell, column))
    return found


def counts(found: list[Finding]) -> str:
    """Such as "worse 5, inconclusive 1"."""
    each = Counter(finding.verdict for finding in found)
    return ", ".join(f"{verdict} {each[verdict]}" for verdict in ORDER if each[verdict])


def lost_runs(cell: tables.Cell, base: tables.Cell | None) -> str:
    """The runs of a setting and of the baseline without a score, such as "2 diverged, 1 failed of the baseline"."""
    other = base.missing if base else {}
    lost = [f"{count} {what}" for what, count in cell.missing.items()]
    return ", ".join([*lost, *(f"{count} {what} of the baseline" for what, count in other.items())])


def _finding(row: tables.Row, base: tables.Row, cell: tables.Cell, column: tables.Column) -> Finding:
    said = str(row.setting), str(base.setting), column
    lost = lost_runs(cell, base.cells.get(column))
    if cell.comparison is None or cell.evidence is None:
        return Finding(*said, "", "", "", 0, NO_PAIR, None, lost)
    difference, margin = cell.comparison.difference, cell.evidence.margin
    mean = _signed(difference.mean, column), _percent(cell.evidence.difference.mean) if column.ratio else ""
    if difference.low is None or difference.high is None:
        return Finding(*said, *mean, "", difference.n, NOT_TESTED, margin, lost)
    interval = f"{_signed(difference.low, column)} to {_signed(difference.high, column)}"
    return Finding(*said, *mean, interval, difference.n, cell.evidence.verdict, margin, lost)


def _percent(nats: float) -> str:
    return f"{100 * math.expm1(nats):+.1f} %".replace("-", "\u2212")


def _signed(number: float, column: tables.Column) -> str:
    return f"{number:+.{tables.SCORES[column.score][1]}f}".replace("-", "\u2212")
