"""Strategies at equal cost."""

from ablations.tables import Record, Row, headline_columns
from ablations.tables.controls import AS_IS, CONTROLS, Controls, Match, controls
from ablations.writers.grid import NOTHING, Grid, interval_text, listed


def control_grids(table: list[Row], runs: list[Record]) -> list[Grid]:
    """A table for each score; none where no strategy has a control."""
    columns, grids = headline_columns(runs), []
    found = controls(table, columns)
    for column in columns:
        mine = [one for one in found if one.column == column]
        names = [AS_IS, *(name for name in CONTROLS if any(name in one.matches for one in mine))]
        if not mine:
            continue
        several = len({id(one.base) for one in mine}) > 1
        body = []
        for one in mine:
            label = f"{one.strategy}, against {one.base.setting}" if several else one.strategy
            body.append([label, *(_text(one.matches.get(name), one) for name in names)])
        header = ["strategy", *(f"equal {name}" if name != AS_IS else "as is (× parameters)" for name in names)]
        bases = listed(list(dict.fromkeys(str(one.base.setting) for one in mine)))
        notes = [
            f"Δ to {bases}, paired by seed [95 %], and × the matched cost in units of the baseline's; equal is within "
            "0.5 %.",
            *(_who(one) for one in mine),
        ]
        grids.append(Grid(f"Controls: {column.title}", header, body, notes))
    return grids


def _text(match: Match | None, one: Controls) -> str:
    if match is None:
        return NOTHING
    cell = match.row.cells[one.column]
    lost = "".join(f", {count} {status}" for status, count in cell.missing.items())
    base = one.base.cells[one.column].missing
    lost += "".join(f", {count} {status} of the baseline" for status, count in base.items())
    return f"{interval_text(match.comparison, one.column)} × {match.ratio:.3f}{lost}"


def _who(one: Controls) -> str:
    """Which settings fill the cells of a strategy."""
    by_setting: dict[str, list[str]] = {}
    rows = {}
    for name, match in one.matches.items():
        setting = str(match.row.setting)
        rows[setting] = match.row
        by_setting.setdefault(setting, []).append(name if name == AS_IS else f"equal {name}")
    told = [f"{listed(names)}: {setting}{_costs(rows[setting], one)}" for setting, names in by_setting.items()]
    return "; ".join(told) + "."


def _costs(row: Row, one: Controls) -> str:
    """Every cost in units of the baseline's: what is equal in one is seen to be more, or less, in another."""
    own, base, told = row.budget(one.column.task), one.base.budget(one.column.task), []
    for name, (costs, _) in CONTROLS.items():
        if own.get(costs[0]) and base.get(costs[0]):
            told.append(f"{own[costs[0]] / base[costs[0]]:.3f} {name}")
    return f" (× {', '.join(told)})"
