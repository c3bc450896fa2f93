"""The strategy that a study compares others with, and which of its rows."""

from __future__ import annotations

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


def opponent(row: Row, table: list[Row]) -> Row | None:
    """The baseline's row that another one is compared with, of those that ran on a task of its own.

    That of the same rest; else the only one that agrees in all but what `match` sets, which a control has otherwise;
    else the only one there is. None for a row of the baseline, and where several would do.
    """
    if row.baseline:
        return None
    tasks, own = {run["task"] for run in row.runs}, row.setting.rest

    def of_task(bases: list[Row]) -> list[Row]:
        return [base for base in bases if any(run["task"] in tasks for run in base.runs)]

    bases = [other for other in table if other.baseline]
    if same := of_task([base for base in bases if base.setting.rest == own]):
        return same[0]
    bases = of_task(bases)
    but_sizes = [base for base in bases if unmatched(base.setting.rest) == unmatched(own)]
    return next((found[0] for found in (but_sizes, bases) if len(found) == 1), None)


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
