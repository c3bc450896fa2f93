"""From records and measurements to an effect: a weighted sum of numbers, paired, with its interval."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import metrics, stats
from ablations import record as records
from ablations.claims.schema import SITES, Measured, Trained

Record = dict[str, Any]


@dataclass(frozen=True)
class Effect:
    """What one trained or measured part came to, and what it came from."""

    summary: stats.Summary | None  # none: nothing to sum
    pairs: dict[int, float]  # seed (or number of the sample) -> effect
    means: list[float | None]  # of each term by itself, over its own runs
    counts: list[int]  # runs (samples) of each term
    left_out: list[str]  # sentences: what is missing and why
    unmade: Sequence[int] = ()  # seeds that the study plans and some term has no run of


def of_runs(part: Trained, claim: str, rule: str, results: Path) -> Effect:
    """The effect over the records of a study, paired by seed.

    Raises ValueError where two runs of one seed answer to one term, and where a run was made under another rule.
    """
    study = part.study
    load = records.briefs if all(map(metrics.in_brief, part.metrics)) else records.load_all
    runs = [run for run in load(results, study.name) if run["status"] != "failed"]
    by_term: list[dict[int, Record]] = []
    for _, where in part.terms:
        by_seed: dict[int, Record] = {}
        for run in (run for run in runs if matches(run, where)):
            twin = by_seed.setdefault(run["seed"], run)
            if twin is not run:
                raise ValueError(
                    f"{claim}: two runs of seed {run['seed']} answer to {words(where)}, "
                    f"{_name(twin)} and {_name(run)}: "
                    "say in `where` which one is meant, or take out of the study's folder what was only tried"
                )
        by_term.append(by_seed)
    for run in sorted((run for term in by_term for run in term.values()), key=_name):
        _refuse_later_rule(run, claim, rule)
        if study.steps not in (None, run["config"]["trainer"]["steps"]):
            raise ValueError(
                f"{claim}: record {_name(run)} has {run['config']['trainer']['steps']} steps and study {study.name} "
                f"{study.steps}: take it out of the study's folder, and try things out under a study.name of their own"
            )

    found: list[dict[int, float]] = []
    left_out: list[str] = []
    for (_, where), metric, term in zip(part.terms, part.metrics, by_term, strict=True):
        numbers = {}
        for seed, run in sorted(term.items()):
            number = metrics.value(metric, run, part.split)
            if number is None:
                left_out.append(f"{words(where)}, seed {seed}: {_why(run, metric)}")
            else:
                numbers[seed] = number
        if not term:
            left_out.append(f"no run of study {study.name} is {words(where)}")
        found.append(numbers)
    seeds = sorted(set.intersection(*(set(term) for term in found)))
    for (_, where), term in zip(part.terms, found, strict=True):
        if alone := sorted(set(term) - set(seeds)):
            left_out.append(f"{words(where)}, seed {', '.join(map(str, alone))}: no partner among the other terms")
    unmade = sorted(study.seeds - set.intersection(*(set(term) for term in by_term)))
    pairs = {seed: math.fsum(w * term[seed] for (w, _), term in zip(part.terms, found, strict=True)) for seed in seeds}
    return _effect(pairs, [list(term.values()) for term in found], left_out, unmade)


def of_samples(part: Measured, claim: str, results: Path) -> Effect:
    """The effect over the paired samples of `<results>/measurements/<file>.json`, if there is such a file."""
    path = results / "measurements" / f"{part.file}.json"
    if not path.is_file():
        return _effect({}, [[] for _ in part.terms], [f"nothing is measured yet: {path.name} is missing"])
    try:
        samples = json.loads(path.read_text(encoding="utf-8"))["samples"]
        found = [[float(number) for number in samples[label]] for _, label in part.terms]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{claim}: {path} is not a readable measurement ({error}): measure again") from None
    except KeyError as error:
        raise ValueError(f"{claim}: {path} has no {error}: measure again, or name what it has") from None
    if len({len(numbers) for numbers in found}) > 1:
        raise ValueError(f"{claim}: the samples in {path} are not paired, {[len(n) for n in found]}: measure again")
    values = [[math.log(n) for n in numbers] for numbers in found] if part.log else found
    weights = [weight for weight, _ in part.terms]
    pairs = {
        index: math.fsum(w * number for w, number in zip(weights, row, strict=True))
        for index, row in enumerate(zip(*values, strict=True))
    }
    return _effect(pairs, found, [])


def matches(run: Record, where: dict[str, Any]) -> bool:
    """Whether a run is one of those meant."""
    return all(_same(_look_up(run, key), value) for key, value in where.items())


def words(where: dict[str, Any]) -> str:
    """Such as "k_is_v, position.kind=none"."""
    return ", ".join(str(v) if key == "strategy" else f"{key}={_plain(v)}" for key, v in where.items())


def _effect(
    pairs: dict[int, float], found: list[list[float]], left_out: list[str], unmade: Sequence[int] = ()
) -> Effect:
    means = [math.fsum(numbers) / len(numbers) if numbers else None for numbers in found]
    summary = stats.summarize(list(pairs.values())) if pairs else None
    return Effect(summary, pairs, means, [len(numbers) for numbers in found], left_out, unmade)


def _look_up(run: Record, key: str) -> Any:
    if key == "strategy":
        return records.strategy_name(run["sites"])
    if key in SITES:
        return run["sites"].get(key)
    found = _follow(run["config"], key)
    # What a config leaves to other settings (a head's width) is filled in where the run is identified.
    return _follow(records.identity(run["config"]), key) if found is None else found


def _follow(part: Any, key: str) -> Any:
    for name in key.split("."):
        part = part.get(name) if isinstance(part, dict) else None
    return part


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool) or not isinstance(found, int | float):
        # A later setting is absent from earlier records: absent is off, as for the identity of a run.
        return found == wanted or (found is None and wanted in (False, ""))
    return isinstance(wanted, int | float) and math.isclose(found, wanted, rel_tol=1e-12)


def _plain(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _why(run: Record, metric: str) -> str:
    if run["status"] == "diverged":
        return f"diverged ({run.get('reason')})"
    return f"its record has no {metric}"


def _refuse_later_rule(run: Record, claim: str, rule: str) -> None:
    then = (run.get("claims") or {}).get(claim)
    if then == rule:
        return
    made = f"record {_name(run)} of {str(run.get('finished') or run.get('started') or 'unknown date')[:10]}"
    under = "knows no rule of it" if then is None else f"was made under rule {then}"
    raise ValueError(
        f"{claim}: its rule, now {rule}, is not the one its runs were made under ({made} {under}): "
        "restore the rule, or give the new rule a study of its own"
    )


def _name(run: Record) -> str:
    return f"{records.label(run['config'])}-{run['signature']}"
