"""Planned: the runs that a study's file asks for and that no record answers.

Told from the file's own words, as far as a record can be held against them: composing every study would take seconds.
Where the file does not say plainly, or there is none, the records speak for themselves: a setting should have the
seeds that others of its task have.
"""

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

from ablations.files import CONF, read_yaml
from ablations.tables.columns import Record
from ablations.tables.rows import Row
from ablations.tables.settings import identity_of, text_of

MATCH = "match"  # no part of a run's identity: one that is the same under two controls is trained once
# Groups whose choice has a name in the config, or a place that says as much.
GROUPS = {"task": "task.name", "model": "model.name", "optim": "optim.name", "position": "position.kind"}


def missing(study: str, runs: list[Record], table: list[Row], conf: Path = CONF) -> str | None:
    """In a sentence, the runs of a study that have no record; None where all have."""
    plan = _plan(conf / "study" / f"{study}.yaml")
    if plan is None:
        return _beside_others(table)
    lacking, count = defaultdict(list), 0
    words = [name for name in plan if name not in ("seed", MATCH)]
    there = {(*(_said(run, name, words) for name in words), str(run["seed"])) for run in runs}
    for *values, seed in itertools.product(*(plan[name] for name in words), plan["seed"]):
        count += 1
        if (*map(_plain, values), seed) not in there:
            lacking[", ".join(f"{name}={value}" for name, value in zip(words, values, strict=True))].append(seed)
    if not lacking:
        return None
    some = [f"{name or 'each setting'} seed {', '.join(seeds)}" for name, seeds in lacking.items()]
    without = sum(map(len, lacking.values()))
    aside = ", controls not counted," if MATCH in plan else ""
    return _sentence(f"{without} of {count} planned runs{aside} {'has' if without == 1 else 'have'} no record", some)


def _beside_others(table: list[Row]) -> str | None:
    some = []
    for task in sorted({run["task"] for row in table for run in row.runs}):
        seeds = {row.setting: {run["seed"] for run in row.runs if run["task"] == task} for row in table}
        everybody = set().union(*seeds.values())
        for setting, own in seeds.items():
            if own and own != everybody:
                some.append(f"{setting} on {task} seed {', '.join(map(str, sorted(everybody - own)))}")
    return _sentence("settings lack seeds that others have", some) if some else None


def _sentence(words: str, some: list[str], most: int = 6) -> str:
    if len(some) > most:
        some = [*some[: most - 1], f"and {len(some) - most + 1} more settings"]
    return f"Partial: {words}: {'; '.join(some)}."


def _plan(file: Path) -> dict[str, list[str]] | None:
    """Swept word -> its choices, from a study's file. None where they cannot be told from it."""
    if not file.is_file():
        return None
    given = read_yaml(file)
    swept = (((given or {}).get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    plan = {name: [choice.strip() for choice in str(choices).split(",")] for name, choices in swept.items()}
    plain = all(choice and not set(choice) & set("()[]{}") for choices in plan.values() for choice in choices)
    seeds = plan.get("seed", [])
    if not plain or not seeds or not all(seed.removeprefix("-").isdigit() for seed in seeds):
        return None
    known = all("." in name or name.split("@")[0] in (*GROUPS, "projection", "seed", MATCH) for name in plan)
    return plan if known and len(set(seeds)) == len(seeds) else None


def _said(run: Record, name: str, words: list[str]) -> str:
    """What a run's record says of a word that its study sweeps, in the way `_plain` writes choices."""
    group, _, place = name.partition("@")
    if group == "projection":
        own = {word.rpartition(".")[2] for word in words if word.startswith("projection@")}
        if place:
            return run["sites"].get(place.rpartition(".")[2], "")
        names = {strategy for site, strategy in run["sites"].items() if site not in own}
        return names.pop() if len(names) == 1 else ""
    path = GROUPS.get(group, name).split(".")
    value = _inside(run["config"], path)
    # What a config leaves to be worked out stands in the identity.
    return _plain(text_of(_inside(identity_of(run), path) if value is None else value))


def _inside(part: Any, path: list[str]) -> Any:
    for key in path:
        part = part.get(key) if isinstance(part, dict) else None
    return part


def _plain(choice: str) -> str:
    """Numbers alike that are written differently: 1e-3 and 0.001, none and off."""
    try:
        return repr(float(choice))
    except ValueError:
        return {"null": "off", "none": "off"}.get(choice, choice)
