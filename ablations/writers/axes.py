"""Strategies by one more setting."""

from ablations.tables import Record, Row, headline_columns
from ablations.tables.axes import axis
from ablations.writers.grid import NOTHING, Grid, cell_text, difference_text, listed


def axis_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """A table for each score; none where settings differ in no further field, or in several."""
    found, grids = axis(table), []
    if found is None:
        return []
    for column in headline_columns(runs):
        body = []
        for value, rows in found.values.items():
            here = [rows.get(name) for name in found.strategies]
            scores = [NOTHING if row is None else cell_text(row.cells.get(column), column) for row in here]
            body.append([value, *scores])
            differences = [NOTHING if row is None else difference_text(row, column) for row in here]
            if set(differences) - {NOTHING, "baseline"}:
                body.append(["Δ", *differences])
        notes = []
        if any(line[0] == "Δ" for line in body):
            notes.append(f"Δ: minus {baseline} in the line above, paired by seed [95 %].")
        if found.following:
            notes.append(f"What follows from {found.field}: {listed(list(found.following))}.")
        title = f"{found.field} by strategy: {column.title}"
        grids.append(Grid(title, [found.field, *found.strategies], body, notes))
    return grids
