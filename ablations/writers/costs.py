"""What settings cost, counted and measured."""

from collections.abc import Callable

from ablations.tables import Record, Row, headline_columns
from ablations.tables.costs import Costs, costs, machines
from ablations.writers.grid import Grid, listed

ABSENT = "not on record"
COLUMNS: dict[str, Callable[[Costs], float | None]] = {
    "parameters": lambda one: one.parameters,
    "FLOPs per token": lambda one: one.flops_per_token,
    "training tokens/s": lambda one: one.training,
    "decoding tokens/s": lambda one: one.decoding,
    "cache bytes per token": lambda one: one.cache,
    "measured": lambda one: one.cache_measured,
    "cache bytes per source token": lambda one: one.source_cache,
    "measured, source": lambda one: one.source_cache_measured,
}
MEASURED = {"decoding tokens/s": "decoding", "measured": "what the cache held", "training tokens/s": "training"}


def cost_grids(table: list[Row], runs: list[Record]) -> list[Grid]:
    """A table for each task."""
    grids = []
    for task in dict.fromkeys(column.task for column in headline_columns(runs)):
        found = costs(table, task)
        kept = [name for name, value in COLUMNS.items() if any(value(one) is not None for one in found)]
        if not found or not kept:
            continue
        body = [[str(one.row.setting), *(_text(COLUMNS[name](one)) for name in kept)] for one in found]
        where, differing = machines(table, task)
        notes = [
            "Speeds: median over the seeds of a setting, whatever else the machine did. Cache: fp32, per sequence; "
            "counted from the sizes, and measured where a column says so."
            if not grids
            else "",
            f"Trained on {'; '.join(where)}." if where else "",
            f"Runs differ in {listed(differing)}: their speeds do not compare." if differing else "",
        ]
        absent = [words for name, words in MEASURED.items() if name not in kept]
        notes.append(f"Not on record: {listed(absent)}." if absent else "")
        said = [note for note in notes if note]
        grids.append(Grid(f"Costs: {task}", ["setting", *kept], body, said, detail=True))
    return grids


def _text(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"
