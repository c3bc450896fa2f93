"""What the seeds at hand could have shown, and how many a question needs."""

from ablations.stats.power import MOST
from ablations.tables import Record, Row, headline_columns
from ablations.writers.grid import NOTHING, Grid, lost_text, margin_text, scale_text


def power_grids(table: list[Row], runs: list[Record]) -> list[Grid]:
    """A line for each comparison of at least two pairs, then for settings of which nothing is left; or no table."""
    body, lost, ratio = [], [], False
    for column in headline_columns(runs):
        for row in table:
            cell = row.cells.get(column)
            evidence = cell.evidence if cell else None
            if cell is not None and cell.summary is None and row.against is not None:
                lost.append([str(row.setting), column.title, "0", lost_text(cell), *[NOTHING] * 4])
            if evidence is None or evidence.difference.sd is None:
                continue
            ratio |= column.ratio
            line = [str(row.setting), column.title, str(evidence.difference.n)]
            low, high = evidence.deviations or (None, None)
            spread = f"[{scale_text(column, low)}, {scale_text(column, high)}]"
            line += [f"{scale_text(column, evidence.difference.sd)} {spread}", scale_text(column, evidence.detectable)]
            needed = [NOTHING] * 2
            if evidence.margin is not None:
                needed = [_seeds(evidence.seeds_to_detect), _seeds(evidence.seeds_for_equivalence)]
            body.append([*line, margin_text(column, evidence.margin), *needed])
    header = ["setting", "score", "pairs", "SD of differences [95 %]", "detectable", "margin"]
    header += ["seeds to detect the margin", "seeds to show equivalence"]
    notes = [
        "Detectable: the smallest true difference that the paired t test finds with 80 % power at 5 % with so many "
        "pairs. Seeds: pairs for 80 % power, to find a difference of the margin, and to show by TOST that there is "
        "none where the true difference is 0. All take the SD at hand for the true one, which may lie anywhere in its "
        "brackets, and no correction for several comparisons."
        + (" Of a perplexity, differences are those of its logarithm, written in percent." if ratio else "")
    ]
    return [Grid("Power", header, [*body, *lost], notes, detail=True)] if body else []


def _seeds(count: int | None) -> str:
    return f"> {MOST:,}" if count is None else f"{count:,}"
