"""The strategy that a study compares others with, and which of its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablations.tables.columns import Record

if TYPE_CHECKING:
    from ablations.tables.rows import Row

MATCHED = ("model.d_ff", "model.head_dim")  # what `match` sets; and of a site:
MATCHED_AT_SITES = "kv_heads"


def baseline_of(runs: list[Record]) -> str:
    """As the study of these runs names it; a record from another study has no say in it.

    Raises ValueError where the runs name several.
    """
    own = [run for run in runs if run["config"]["study"]["name"] == run["study"]] or runs
    named = sorted({run["config"]["study"].get("baseline") or "separate" for run in own})
    if len(named) != 1:
        raise ValueError(f"the runs of study {own[0]['study']} name several baselines ({', '.join(named)}): choose one")
    return named[0]


def opponents(table: list[Row]) -> list[Row | None]:
    """For each row the baseline's row that it is compared with, of those that ran on a task of its own.

    That of the same rest; else the only one that agrees in all but what `match` sets, which a control has otherwise;
    else the only one there is. None for a row of the baseline, and where several would do.
    """
    bases = [row for row in table if row.baseline]
    same: dict[tuple[str, ...], list[Row]] = defaultdict(list)  # sought once: a table may have thousands of rows
    but_sizes: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for base in bases:
        same[base.setting.rest].append(base)
        but_sizes[tuple(unmatched(base.setting.rest))].append(base)

    def found(row: Row) -> Row | None:
        if row.baseline:
            return None
        tasks = {run["task"] for run in row.runs}

        def of_task(some: list[Row]) -> list[Row]:
            return [base for base in some if any(run["task"] in tasks for run in base.runs)]

        if own := of_task(same.get(row.setting.rest, [])):
            return own[0]
        nearly = (but_sizes.get(tuple(unmatched(row.setting.rest)), []), bases)
        return next((left[0] for left in map(of_task, nearly) if len(left) == 1), None)

    return [found(row) for row in table]


def without_baseline(table: list[Row], baseline: str) -> list[str]:
    """In a sentence, if that: the rows that are compared with none."""
    tasks = {run["task"] for row in table for run in row.runs}
    lacking = sorted(tasks - {run["task"] for row in table if row.baseline for run in row.runs})
    if lacking == sorted(tasks):
        return [f"No run of the baseline {baseline} is on record: there is nothing to compare with."]
    sentences = [f"No run of the baseline {baseline} on {task} is on record." for task in lacking]
    for base in (row for row in table if row.baseline):
        if not any(cell.scores for cell in base.cells.values()):
            sentences.append(
                f"No run of the baseline {base.setting} came to a score: there is nothing to compare with."
            )
    alone = [row for row in table if not row.baseline and row.against is None]
    named = [str(row.setting) for row in alone if any(run["task"] not in lacking for run in row.runs)]
    if named:
        sentences.append(
            f"Compared with no row of {baseline}, as none, or more than one, agrees in all but the sizes of a control: "
            f"{'; '.join(named)}."
        )
    return sentences


def unmatched(rest: Iterable[str]) -> list[str]:
    """A setting's rest without what `match` sets."""
    names = ((field, field.split("=")[0]) for field in rest)
    return [field for field, name in names if name not in MATCHED and name.split(".")[-1] != MATCHED_AT_SITES]
