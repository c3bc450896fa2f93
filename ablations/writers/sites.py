"""One strategy at some sites, the baseline at the others."""

from ablations.tables import Column, Record, Row, headline_columns
from ablations.tables.sites import NOWHERE, Sites, places, sites
from ablations.writers.grid import NOTHING, Grid, cell_text, difference_text


def site_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """A table for each score; none where no strategy stands at two sets of sites."""
    found, grids = sites(table, baseline), []
    for column in headline_columns(runs) if found else ():
        body = []
        for one in found:
            body += _lines(one, places(found), column)
        note = f"Which sites have the strategy; the others have {baseline}. Δ: to {NOWHERE}, paired by seed [95 %]."
        grids.append(Grid(f"Sites: {column.title}", ["strategy", *places(found)], body, [note]))
    return grids


def _lines(one: Sites, names: list[str], column: Column) -> list[list[str]]:
    rows = [one.rows.get(name) for name in names]
    scores = [NOTHING if row is None else cell_text(row.cells.get(column), column) for row in rows]
    differences = [NOTHING if row is None else difference_text(row, column) for row in rows]
    return [[", ".join([one.strategy, *one.rest]), *scores], ["Δ", *differences]]
