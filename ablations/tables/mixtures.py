"""Mixtures: runs whose scores must not stand in one column, and what the runs of a column have in common."""

from typing import Any

from ablations import record as records
from ablations.tables.columns import Record
from ablations.tables.settings import flatten, identity_of


def refuse_mixtures(runs: list[Record]) -> None:
    """Raises ValueError where two runs of one task were made under conditions that make their scores incomparable."""
    first: dict[tuple[str, str], tuple[Any, Record]] = {}
    identities = [identity_of(run) for run in runs]
    tasks: dict[int, dict[str, Any]] = {}
    for run, identity in zip(runs, identities, strict=True):
        if id(identity["task"]) not in tasks:
            tasks[id(identity["task"])] = dict(flatten(identity["task"]))
        for condition, value in {"task": tasks[id(identity["task"])], **conditions(run)}.items():
            other, where = first.setdefault((run["task"], condition), (value, run))
            if other is not value and other != value:
                if isinstance(value, dict):
                    part = next(key for key in sorted({*other, *value}) if other.get(key) != value.get(key))
                    condition, other, value = f"{condition}.{part}", other.get(part), value.get(part)
                raise ValueError(
                    f"{name_of(where)} and {name_of(run)} cannot stand in one column: {condition} is {other} in the "
                    f"first and {value} in the second; give one kind of run a study.name of its own"
                )


def conditions(run: Record) -> dict[str, Any]:
    """What must be equal for two runs of one task to be compared, beside the task's settings, as far as it is known."""
    trainer = run["config"]["trainer"]
    result: dict[str, Any] = {
        "number of steps": trainer["steps"],
        "tokens per step": trainer["batch_tokens"] * trainer["accumulate"],
    }
    if run["status"] == "finished":
        result["data digest"] = run["data"]["digest"]
        result["tokenizer digest"] = run["data"]["tokenizer"]
        result["precision"] = run["training"]["precision"]
        for split, scores in run["scores"].items():
            for field, title in (
                ("bleu_signature", "BLEU signature"),
                ("chrf_signature", "chrF signature"),
                ("window", "evaluation window"),
            ):
                if field in scores:
                    result[f"{title} on {split}"] = scores[field]
    return result


def name_of(run: Record) -> str:
    """The name of a run's file, without its ending."""
    return f"{records.label(run['config'])}-{run['signature']}"
