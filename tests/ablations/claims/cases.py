"""Claim files and records made by hand, in a folder of their own."""

import copy

import yaml

from ablations import record as records
from ablations.claims import schema
from tests.ablations.make import make_record

TRAINED = {
    "kind": "trained",
    "study": "demo",
    "metric": "token_perplexity",
    "terms": [
        {"weight": 1, "where": {"strategy": "shared"}},
        {"weight": -1, "where": {"strategy": "separate"}},
    ],
    "margin": {"value": 0.5, "unit": "perplexity"},
    "region": {"above": "margin"},
}
MEASURED = {
    "kind": "measured",
    "file": "storage",
    "command": "python scripts/bench.py storage --save",
    "terms": [{"weight": 1, "label": "fused"}, {"weight": -1, "label": "per head"}],
    "margin": {"value": 0, "unit": "s"},
    "region": {"below": 0},
}
EXACT = {"kind": "exact", "check": "count_parameters"}


def trained(**changes):
    return {**copy.deepcopy(TRAINED), **changes}


def conf(folder, *parts, name="C90", **changes):
    """A folder like conf/ with one claim of these parts, and the study that they may name."""
    (folder / "claim").mkdir(parents=True, exist_ok=True)
    (folder / "study").mkdir(exist_ok=True)
    (folder / "study" / "demo.yaml").write_text("# a study\n")
    given = {key: f"A {key} of several\n  words." for key in schema.PROSE}
    given |= {"id": name, "parts": list(parts), **changes}
    (folder / "claim" / f"{name}.yaml").write_text(yaml.safe_dump(given))
    return folder


def load(folder, *parts, **changes):
    made = conf(folder / "conf", *parts, **changes)
    return schema.load(schema.files(made)[0], made)


def keep(results, claim, *runs):
    """Writes records of runs that were made under the claim's rule."""
    for run in runs:
        records.write({**run, "claims": {claim.id: claim.rule}}, results)


def pair(seed, shared, separate, **overrides):
    return [
        make_record("shared", seed=seed, score=shared, **overrides),
        make_record("separate", seed=seed, score=separate, **overrides),
    ]
