"""What a study plans and has no record of, from `conf/study/<name>.yaml`."""

from itertools import product
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations.compose import CONF
from ablations.files import read_yaml
from ablations.report.parts import Record


def missing(results: Path, name: str, runs: list[Record]) -> list[str] | None:
    """Labels of the planned runs that have no record in the study; none where no file plans the study.

    A run that failed counts as missing. Composing a study takes a second or more, so it is left out where every cell of
    the sweep is found by its own words among the overrides on record.
    """
    file = CONF / "study" / f"{name}.yaml"
    if not file.is_file():
        return None
    ended = [run for run in runs if run["status"] != "failed"]
    cells = sweep((read_yaml(file) or {}).get("hydra", {}).get("sweeper", {}).get("params", {}))
    asked = [words for run in ended if (words := _asked(run, name)) is not None]
    if all(cell in asked for cell in cells):
        return []
    from ablations.sweep import status

    signatures = {run["signature"] for run in ended}
    planned = status.of_name(results, name).planned
    return [records.label(config) for signature, config in planned.items() if signature not in signatures]


def sweep(params: dict[str, Any]) -> list[frozenset[str]]:
    """The words of each cell of a sweep, as Hydra's own sweeper takes them apart."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, choices = OverridesParser.create(), []
    for key, values in params.items():
        override = parser.parse_override(f"{key}={values}")
        values = override.sweep_string_iterator() if override.is_sweep_override() else [values]
        choices.append([f"{key}={value}" for value in values])
    return [frozenset(cell) for cell in product(*choices)]


def _asked(run: Record, study: str) -> frozenset[str] | None:
    """What a run was asked for beside its study; none where it was asked for by another name, or in another way."""
    words = list(run.get("overrides") or [])
    if f"study={study}" not in words:
        return None
    words.remove(f"study={study}")
    return frozenset(word for word in words if not _beside(word.split("=")[0]))


def _beside(key: str) -> bool:
    return any(key == path or key.startswith(f"{path}.") for path in records.BESIDE if path != "projection")
