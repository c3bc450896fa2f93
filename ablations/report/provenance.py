"""What the footer says: how many runs, when, by which versions and commits."""

from collections import Counter
from typing import Any

from ablations.report.parts import Record, Study
from ablations.report.studies import counts

VERSIONS = ("python", "torch", "numpy", "sacrebleu", "sentencepiece")


def footer(studies: list[Study]) -> dict[str, Any]:
    """Of every run once, in however many studies it stands. Dates are those of the records."""
    runs = list({run["signature"]: run for study in studies for run in study.runs}.values())
    dates = sorted(str(run[key])[:10] for run in runs for key in ("started", "finished") if run.get(key))
    return {
        "number": len(runs),
        "counts": counts(runs),
        "dates": " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "not on record",
        "versions": [(name, several(runs, "versions", name)) for name in VERSIONS],
        "commits": commits(runs),
    }


def commits(runs: list[Record]) -> list[tuple[str, int]]:
    """Commit and number of its runs, the most first; it says where the files differed from the commit."""
    found: Counter[str] = Counter()
    for run in runs:
        code = run.get("code") or {}
        found[f"{code.get('commit') or 'not on record'}{' with changes' if code.get('dirty') else ''}"] += 1
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def several(runs: list[Record], part: str, name: str) -> str:
    """A version, or each with the number of its runs."""
    values = Counter(str((run.get(part) or {}).get(name) or "not on record") for run in runs)
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} ({count})" for value, count in sorted(values.items()))
