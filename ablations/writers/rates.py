"""Each strategy at its own best learning rate."""

from ablations.tables import SCORES, Column, Record, Row, headline_columns
from ablations.tables.rates import CHOICE, Tuned, at_their_best, opponent, tuned
from ablations.writers.grid import NOTHING, Grid, cell_text, interval_text, listed, plural

MOST = 8  # rates that are listed one by one


def rate_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """A table for each task; none where nobody tried two rates."""
    columns, grids = headline_columns(runs), []
    for task in dict.fromkeys(column.task for column in columns):
        found = tuned(table, task)
        mine = [column for column in columns if column.task == task]
        if found:
            grids.append(_grid(found, mine, task, baseline))
    return grids


def _grid(found: list[Tuned], columns: list[Column], task: str, baseline: str) -> Grid:
    header = ["strategy", "rates tried", "best rate", "validation nll", "diverged at", "failed"]
    header += [f"{SCORES[column.score][0]} ({column.split})" for column in columns]
    fair = [column for column in columns if column.split != CHOICE]
    header += [f"Δ {SCORES[column.score][0]}{' [95 %]' if column in fair else ''}" for column in columns]
    body = []
    for one in found:
        base, best = opponent(one, found), one.best
        diverged = ", ".join(f"{rate} ({count})" for rate, count in one.diverged.items()) or "none"
        line = [one.name, f"{len(one.tried):,}", best or NOTHING, f"{one.losses[best]:.4f}" if best else NOTHING]
        line += [diverged, str(one.failed)]
        line += [cell_text(one.rows[best].cells.get(c), c) if best else NOTHING for c in columns]
        for column in columns:
            comparison = at_their_best(one, base, column) if base else None
            line.append("baseline" if one.baseline else interval_text(comparison, column))
        body.append(line)
    notes = [
        f"Best: the lowest mean loss on validation over the most seeds, of the rates at which no run diverged if there "
        f"is one. Δ: to {baseline} at its own best rate, paired by seed.",
        _budget(found),
    ]
    if len(fair) < len(columns):
        notes.append(
            f"Chosen and compared on the same split ({CHOICE}): no interval, since the best of several is picked."
        )
    fewer = [
        f"{one.name} at {', '.join(f'{rate} (n={count})' for rate, count in one.fewer.items())}"
        for one in found
        if one.fewer
    ]
    if fewer:
        notes.append(f"Not in the choice, with fewer seeds than the best rate: {'; '.join(fewer)}.")
    at_edge = [one.name for one in found if one.edge]
    if at_edge:
        notes.append(f"The best rate lies at the edge of the grid for {listed(at_edge)}: extend the grid for all.")
    beside = [f"{one.name} at {one.best}, next tried {' and '.join(one.beyond)}" for one in found if one.beyond]
    if beside:
        notes.append(
            f"Best of the rates that trained; at the next one tried runs diverged: {'; '.join(beside)}. Where "
            "they are far apart, try rates between."
        )
    return Grid(f"Learning rates: {task}", header, body, notes)


def _budget(found: list[Tuned]) -> str:
    tried = {one.budget for one in found}
    if len(tried) > 1:
        each = [f"{one.name} {plural(one.budget[0], 'rate')} in {plural(one.budget[1], 'run')}" for one in found]
        return f"The strategies have not tried equally much: {listed(each)}."
    rates = list(dict.fromkeys(rate for one in found for rate in one.tried))
    ((count, runs),) = tried
    which = f" ({', '.join(rates)})" if count == len(rates) <= MOST else ""
    same = "" if count == len(rates) else ", not the same ones"
    return f"Each strategy has tried {plural(count, 'rate')}{which} in {plural(runs, 'run')}{same}."
