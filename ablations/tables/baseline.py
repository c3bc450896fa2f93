"""The strategy that a study compares others with."""

from ablations.tables.columns import Record


def baseline_of(runs: list[Record]) -> str:
    """As the study of these runs names it; a record from another study has no say in it.

    Raises ValueError where the runs name several.
    """
    own = [run for run in runs if run["config"]["study"]["name"] == run["study"]] or runs
    named = sorted({run["config"]["study"].get("baseline") or "separate" for run in own})
    if len(named) != 1:
        raise ValueError(f"the runs of study {own[0]['study']} name several baselines ({', '.join(named)}): choose one")
    return named[0]
