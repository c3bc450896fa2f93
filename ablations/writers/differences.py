"""Every comparison of the headline with its tests."""

from ablations.tables import Record, Row, headline_columns
from ablations.writers.grid import NOTHING, Grid, difference_text, lost_text, lost_word, p_text

ALPHA = 0.05


def comparison_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """None where nothing can be compared; settings of which all runs are lost stand last."""
    body, lost, bound, ratio = [], [], False, False
    for column in headline_columns(runs):
        for row in table:
            cell = row.cells.get(column)
            if cell is None or row.against is None:
                continue
            if cell.comparison is None or cell.evidence is None:
                if cell.summary is None:
                    line = [str(row.setting), column.title, lost_text(cell), "0"]
                    lost.append([*line, *[NOTHING] * 6, lost_word(cell)])
                continue
            comparison, tests = cell.comparison, cell.evidence.adjusted
            ratio |= column.ratio
            exact = p_text(comparison.p)
            if comparison.floor is not None and comparison.floor > ALPHA:
                exact, bound = f"{exact} (≥ {comparison.floor:.3g})", True
            line = [str(row.setting), column.title, difference_text(row, column), str(comparison.difference.n)]
            line += [NOTHING if comparison.correlation is None else f"{comparison.correlation:+.2f}"]
            line += [exact, p_text(cell.holm), p_text(tests.t), p_text(tests.equivalent), p_text(tests.not_worse)]
            body.append([*line, cell.evidence.verdict])
    header = ["setting", "score", f"minus {baseline} [95 %]", "pairs", "r", "exact p", "exact, Holm"]
    header += ["t test", "equivalent", "not worse", "verdict"]
    notes = [
        "r: correlation of the scores of equal seed. Exact p: two-sided sign-flip permutation test over seeds, then "
        "adjusted by Holm for all comparisons in this table. t test, equivalent (TOST) and not worse "
        "(non-inferiority): p of the paired t tests behind the verdict, adjusted likewise. A large p is no evidence of "
        "equality."
    ]
    if ratio:
        notes.append("Of perplexities r and every test are of their logarithm; difference and interval are not.")
    if lost:
        notes.append(
            "A setting without a score stays in Holm's family with p = 1: losing it makes no other test easier."
        )
    if bound:
        notes.append("≥: the smallest p that so many pairs can give; no exact test can reach 5 % with them.")
    return [Grid("Differences", header, [*body, *lost], notes, detail=True)] if body else []
