"""Steps to the loss that the baseline has in the end."""

from ablations.tables import Record, Row, headline_columns
from ablations.tables.speed import FEW, Reached, reached
from ablations.writers.grid import NOTHING, Grid, plural


def speed_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """A table for each task, or a sentence where there are too few validations; none without the baseline."""
    grids = []
    for task in dict.fromkeys(column.task for column in headline_columns(runs)):
        found = reached(table, task)
        title = f"Steps to the baseline's loss: {task}"
        if not any(one.steps or one.never for one in found):
            notes = []
            if any(one.few for one in found):
                notes.append(f"Too few validations on record: a run needs {FEW} or more (trainer.eval_every).")
            if notes := [*notes, *_alone(found, baseline)]:
                grids.append(Grid(title, [], [], notes, detail=True))
            continue
        own = {one.row.setting: one.median for one in found if one.row.baseline}
        few = sum(one.few for one in found)
        notes = [
            f"The first step at which the loss on validation is at or below the last one of {baseline} with the same "
            "seed, linear between validations; median over seeds, those that never get there counted as later than "
            "all others."
        ]
        notes = [] if any(grid.body for grid in grids) else notes  # once a page
        if few:
            notes.append(f"Left out, with fewer than {FEW} validations on record: {plural(few, 'run')}.")
        if failed := sum(one.failed for one in found):
            notes.append(f"Failed, and not looked at: {plural(failed, 'run')}.")
        notes += _alone(found, baseline)
        body = [_line(one, own) for one in found]
        header = ["setting", "median step", "× the baseline's", "reached", "not reached"]
        grids.append(Grid(title, header, body, notes, detail=True))
    return grids


def _alone(found: list[Reached], baseline: str) -> list[str]:
    """The seeds whose baseline has no loss in the end."""
    named = [
        f"{one.row.setting} seed {', '.join(f'{seed} ({what})' for seed, what in sorted(one.alone.items()))}"
        for one in found
        if one.alone
    ]
    count = plural(sum(len(one.alone) for one in found), "run")
    return [f"Left out, as no run of {baseline} with their seed came to its end: {count}: {'; '.join(named)}."] * bool(
        named
    )


def _line(one: Reached, own: dict) -> list[str]:
    base = own.get(one.row.setting if one.row.baseline else one.row.against)
    median = NOTHING if one.median is None and not one.never else "not reached"
    ratio = NOTHING
    if one.median is not None:
        median = f"{one.median:,.0f}"
        ratio = f"{one.median / base:.2f}" if base else NOTHING
    lost = {"diverged": one.diverged, "failed": one.failed}
    told = ", ".join(f"{count} {status}" for status, count in lost.items() if count)
    never = f"{one.never} ({told})" if told else str(one.never)
    return [str(one.row.setting), median, ratio, str(len(one.steps)), never]
