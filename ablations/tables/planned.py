"""Planned: the runs that a study's file asks for and that no record answers.

Told from the file's own words, as far as a record can be held against them: composing every study would take seconds.
Where the file does not say plainly, or there is none, the records speak for themselves: a setting should have the
seeds that others of its task have.

Controls (`match`) are no words of a record's identity: a run that is the same under two of them is trained once, under
the name of one. Those are told from what models cost, as `ablations.match` chooses their sizes.
"""

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

from ablations.files import CONF, read_yaml
from ablations.tables.baseline import baseline_of
from ablations.tables.columns import Record
from ablations.tables.controls import CONTROLS, SIZES
from ablations.tables.rows import Row
from ablations.tables.settings import flatten, identity_of, text_of

MATCH = "match"
AS_IT_IS = "none"
COSTS = {label: costs for costs, label in CONTROLS.values()}
# Groups whose choice has a name in the config, or a place that says as much.
GROUPS = {"task": "task.name", "model": "model.name", "optim": "optim.name", "position": "position.kind"}


def missing(study: str, runs: list[Record], table: list[Row], conf: Path = CONF) -> str | None:
    """In a sentence, the runs of a study that have no record; None where all have."""
    sweeps = _sweeps(conf / "study" / f"{study}.yaml")
    if sweeps is None:
        return _beside_others(table)
    lacking: dict[str, list[str]] = defaultdict(list)
    count = 0
    for plan in sweeps:
        planned, without = _held_against(plan, runs)
        count += planned
        for name, seeds in without.items():
            lacking[name] += seeds
    if not lacking:
        return None
    some = [f"{name or 'each setting'} seed {', '.join(seeds)}" for name, seeds in lacking.items()]
    without = sum(map(len, lacking.values()))
    aside = ", each control counted," if any(MATCH in plan for plan in sweeps) else ""
    return _sentence(f"{without} of {count} planned runs{aside} {'has' if without == 1 else 'have'} no record", some)


def _held_against(plan: dict[str, list[str]], runs: list[Record]) -> tuple[int, dict[str, list[str]]]:
    """How many runs a sweep asks for, and setting -> seeds of those that have no record."""
    lacking: dict[str, list[str]] = defaultdict(list)
    count = 0
    words = [name for name in plan if name not in ("seed", MATCH)]
    there: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for run in runs:
        there[*(_said(run, name, words) for name in words), str(run["seed"])].append(run)
    baseline = baseline_of(runs) if MATCH in plan and runs else None
    others = [name for name in words if not _of_sites(name)]
    bases = {
        tuple(_said(run, name, words) for name in others): run
        for run in runs
        if set(run["sites"].values()) == {baseline} and run.get("budget")
    }
    for *values, seed in itertools.product(*(plan[name] for name in words), plan["seed"]):
        found = there.get((*map(_plain, values), seed), [])
        at_sites = {value for name, value in zip(words, values, strict=True) if _of_sites(name)}
        at_baseline = (set(found[0]["sites"].values()) if found else at_sites) == {baseline}
        base = bases.get(tuple(_plain(v) for name, v in zip(words, values, strict=True) if name in others))
        controls = [""] if MATCH not in plan or at_baseline else plan[MATCH]  # the baseline is its own control
        count += len(controls)
        for control in controls:
            if not any(not control or _stands_for(control, run, base) for run in found):
                said = [*zip(words, values, strict=True), *([(MATCH, control)] if control else [])]
                lacking[", ".join(f"{name}={value}" for name, value in said)].append(seed)
    return count, lacking


def _of_sites(name: str) -> bool:
    return name.split("@")[0] == "projection"


def _stands_for(control: str, run: Record, base: Record | None) -> bool:
    """Whether a run is what its study calls for under a control, or as it is; without a baseline by its label alone."""
    label = run["config"].get(MATCH)  # none where the run is older than controls
    if label == control or base is None or not run.get("budget"):
        return (label or AS_IT_IS) == control
    own, other = _sizes(run), _sizes(base)
    changed = {name for name in {**own, **other} if own.get(name) != other.get(name)}
    if control == "cache":
        return not changed & {"d_ff", "d_model"} and all(
            run["budget"].get(cost) == base["budget"].get(cost) for cost in COSTS[control]
        )
    if label == "cache" or not changed <= ({"d_ff"} if control in COSTS else set()):
        return False
    if control not in COSTS:
        return control == AS_IT_IS
    (cost,) = COSTS[control]
    costs = run["budget"].get(cost), base["budget"].get(cost)
    return None not in costs and 2 * abs(costs[0] - costs[1]) <= _unit(run, cost)  # the nearest there is


def _sizes(run: Record) -> dict[str, str]:
    """Of the whole model: those of a site belong to its strategy."""
    return {name: text_of(value) for name, value in flatten(identity_of(run)["model"]) if name in SIZES}


def _unit(run: Record, cost: str) -> int:
    """What one more in model.d_ff costs."""
    model, kind = run["config"]["model"], run["kind"]
    layers = (kind != "language_modeling") * model["encoder_layers"] + (kind != "classification") * model[
        "decoder_layers"
    ]
    return layers * (4 * model["d_model"] if cost == "flops_per_token" else 2 * model["d_model"] + model["bias"])


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


def _sweeps(file: Path) -> list[dict[str, list[str]]] | None:
    """Swept word -> its choices, of the sweep that a study's file is and of those it names further (`study.more`).

    None where they cannot be told from the file.
    """
    if not file.is_file():
        return None
    given = read_yaml(file) or {}
    swept = ((given.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    more = (given.get("study") or {}).get("more") or []
    further = [dict(word.split("=", 1) for word in words.split()) for words in more]
    sweeps = [_choices({**swept, **words}) for words in ({}, *further)]
    return None if None in sweeps else [plan for plan in sweeps if plan is not None]


def _choices(swept: dict[str, Any]) -> dict[str, list[str]] | None:
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
