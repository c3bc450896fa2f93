"""One number of a run, by name: what a claim's rule is written in. Numbers come from the record alone.

bleu, chrf, exact_match, token_perplexity, word_perplexity, bits_per_byte, nll, accuracy    scores of a split
parameters, tokens_per_second, diverged, loss_spikes, final_train_loss                      facts of the run
analysis:<part>.<path>[<site>]@first|last                                                  what an analysis measured

`analysis:scores.own_position[decoder.*.self]@first` is the mean over the sites that match (all, without brackets) and
over all numbers below `<site>.<path>` (one a head, usually), at the first step on record; without @, at the last. What
has no value (null) does not count; of a run that diverged nothing is the last. A path may also start at the part
itself, as in `analysis:context.order.difference`, and pick from a list, as in
`analysis:context.layers.decoder.corrected.-1`, the last layer.
"""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from ablations.config import ANALYSES
from models.projections.choice import did_you_mean, one_of

Record = dict[str, Any]
SPIKE = 0.5  # nats
_ABSENT = object()
SCORES = (
    "bleu",
    "bleu_lowercase",
    "chrf",
    "exact_match",
    "token_perplexity",
    "word_perplexity",
    "bits_per_byte",
    "nll",
    "accuracy",
)
ANALYSIS = re.compile(r"analysis:(?P<part>\w+)\.(?P<path>[\w.-]+?)(\[(?P<site>[^\[\]]+)\])?(@(?P<step>first|last))?")


def check(metric: str) -> None:
    """Raise a ValueError with the nearest known names unless `metric` can be read off a record."""
    names = (*SCORES, *FACTS)
    if found := ANALYSIS.fullmatch(metric):
        one_of("analysis", found["part"], ANALYSES)
    elif metric.startswith("analysis:"):
        raise ValueError(
            f"metric={metric!r} is not of the form analysis:<part>.<path>[<site>]@first or @last, "
            "as in analysis:scores.own_position[decoder.*.self]@first"
        )
    elif metric not in names:
        raise ValueError(
            f"metric={metric!r} is unknown{did_you_mean(metric, names)} (known: {', '.join(names)}, analysis:...)"
        )


def in_brief(metric: str) -> bool:
    """Whether a record without its curve and analyses has the number (see `record.briefs`)."""
    return metric in SCORES or metric in ("parameters", "tokens_per_second", "diverged")


def value(metric: str, record: Record, split: str | None = None) -> float | None:
    """The number, or None where the run has none: it diverged before it was scored, or nobody measured it.

    `split` is for scores: by default the first that the task lists for testing, else validation. Raises ValueError
    for an unknown metric, for a split that a finished run was not scored on, and for a site or a measure that an
    analysis on record does not have.
    """
    check(metric)
    if metric in SCORES:
        return _score(metric, record, split)
    if metric in FACTS:
        return FACTS[metric](record)
    found = ANALYSIS.fullmatch(metric)
    assert found is not None
    entries = [entry for entry in record.get("analyses") or [] if entry.get(found["part"])]
    if not entries:
        return None
    if found["step"] != "first" and record["status"] != "finished":
        return None  # what was seen last was seen before the end: with `analysis=ends` before the first step
    choose = min if found["step"] == "first" else max
    part = choose(entries, key=lambda entry: entry["step"])[found["part"]]
    numbers = list(_leaves(_measured(metric, part, found["path"].split("."), found["site"])))
    return sum(numbers) / len(numbers) if numbers else None


def _score(metric: str, record: Record, split: str | None) -> float | None:
    if record["status"] != "finished":
        return None
    split = split or (*record["config"]["task"]["test"], "valid")[0]
    if split not in record["scores"]:
        raise ValueError(
            f"split={split!r} is none of those that {record['strategy']}, seed {record['seed']}, was scored on "
            f"({', '.join(record['scores'])})"
        )
    return record["scores"][split].get(metric)


def loss_spikes(record: Record) -> int | None:
    """How often training lost ground: logged losses more than SPIKE nats above the smallest one logged before.

    The first tenth of the log is left out, where losses fall fast; its losses count as "before". Range: 0 to the
    number of lines. A line that is not a number (the run diverged there) is a spike.
    """
    losses = [line.get("loss") for line in record.get("curve") or []]
    spikes, lowest = 0, float("inf")
    for index, loss in enumerate(losses):
        late = index >= len(losses) / 10
        if late and (loss is None or loss > lowest + SPIKE):
            spikes += 1
        if loss is not None:
            lowest = min(lowest, loss)
    return spikes if losses else None


def _final_train_loss(record: Record) -> float | None:
    curve = record.get("curve") or []
    return curve[-1].get("loss") if curve else None


def _measured(metric: str, part: dict[str, Any], path: list[str], site: str | None) -> list[Any]:
    """What stands at the path, once for each site that matches, or once where the path starts at the part itself."""
    if site is None and path[0] in part:
        starts = [part]
    else:
        starts = [found for name, found in part.items() if fnmatchcase(name, site or "*")]
    if not starts:
        raise ValueError(f"metric={metric!r}: no site is called {site} (there are {', '.join(part)})")
    found = [end for start in starts if (end := _follow(start, path)) is not _ABSENT]
    if not found:
        names = sorted({name for start in starts if isinstance(start, dict) for name in start})
        raise ValueError(
            f"metric={metric!r}: nothing is measured at {'.'.join(path)}{did_you_mean(path[0], names)} "
            f"(there are {', '.join(names)})"
        )
    return found


def _follow(start: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(start, dict) and key in start:
            start = start[key]
        elif isinstance(start, list) and re.fullmatch(r"-?\d+", key) and -len(start) <= int(key) < len(start):
            start = start[int(key)]
        else:
            return _ABSENT
    return start


def _leaves(found: Any) -> Iterator[float]:
    if isinstance(found, int | float):
        yield found
    elif isinstance(found, dict | list):
        for item in found.values() if isinstance(found, dict) else found:
            yield from _leaves(item)


FACTS: dict[str, Callable[[Record], float | None]] = {
    "parameters": lambda record: (record.get("budget") or {}).get("parameters"),
    "tokens_per_second": lambda record: (record.get("training") or {}).get("tokens_per_second"),
    "diverged": lambda record: float(record["status"] == "diverged"),
    "loss_spikes": loss_spikes,
    "final_train_loss": _final_train_loss,
}
