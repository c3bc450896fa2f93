"""What a comparison comes to: tests against a margin that was fixed beforehand, and what its seeds could have shown.

A perplexity is a ratio: differences are those of its logarithm, which is the loss in nats, and the margin is
log(1 + share). All other scores are taken as they are.
"""

import functools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ablations import stats
from ablations.tables.columns import Column, Record

Key = TypeVar("Key", bound=Hashable)
MARGINS = {"bleu": "margin_bleu", "token_perplexity": "margin_perplexity"}


@dataclass(frozen=True)
class Tests:
    """p values of one comparison; None where a test was not made."""

    t: float | None  # two-sided paired t test
    equivalent: float | None  # TOST
    not_worse: float | None  # non-inferiority


@dataclass(frozen=True)
class Evidence:
    """One comparison by seed."""

    difference: stats.Summary  # on the scale of the tests
    margin: float | None  # on the same scale; None: the study fixed none for this score
    low90: float | None  # interval that lies within the margin where TOST succeeds
    high90: float | None
    raw: Tests
    adjusted: Tests  # by Holm, each test over all comparisons of the family
    verdict: str  # from the adjusted ones

    @property
    def deviations(self) -> tuple[float, float] | None:
        """Between which the true standard deviation of such differences lies, at 95 %. None with one pair."""
        if self.difference.sd is None:
            return None
        low, high = _spread(self.difference.n - 1)
        return self.difference.sd * low, self.difference.sd * high

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that so many pairs find in four cases of five. None with one pair."""
        return None if self.difference.sd is None else stats.power.detectable(self.difference.sd, self.difference.n)

    @property
    def seeds_to_detect(self) -> int | None:
        """Pairs that would find a difference of the margin in four cases of five. None: nobody can say, or too many."""
        if self.margin is None or self.difference.sd is None:
            return None
        return _to_detect(self.difference.sd, self.margin)

    @property
    def seeds_for_equivalence(self) -> int | None:
        """Pairs that would show no difference at all to be within the margin in four cases of five."""
        if self.margin is None or self.difference.sd is None:
            return None
        return _for_equivalence(self.difference.sd, self.margin)


@functools.cache
def _spread(degrees: int) -> tuple[float, float]:
    """The true deviation of normal values over the sample's, by chi square, at 95 %."""
    from scipy.special import chdtri

    tail = (1 - stats.LEVEL) / 2
    return math.sqrt(degrees / chdtri(degrees, tail)), math.sqrt(degrees / chdtri(degrees, 1 - tail))


@functools.cache
def _to_detect(sd: float, margin: float) -> int | None:
    return stats.power.seeds_to_detect(sd, margin)


@functools.cache
def _for_equivalence(sd: float, margin: float) -> int | None:
    return stats.power.seeds_for_equivalence(sd, margin)


def margins(runs: list[Record], columns: list[Column]) -> dict[Column, float | None]:
    """Of each column as the study of its runs fixed it, in its own words: BLEU, or a share of perplexity.

    None where it fixed none, or where runs name several.
    """
    named: dict[tuple[str, str], set[float | None]] = {}
    for run in runs:
        study = run["config"]["study"]
        if study["name"] == run["study"]:  # a record may have come from another study, whose margin is its own affair
            for score, key in MARGINS.items():
                named.setdefault((run["task"], score), set()).add(study.get(key))
    result: dict[Column, float | None] = {}
    for column in columns:
        found = named.get((column.task, column.score), set())
        margin = next(iter(found)) if len(found) == 1 else None
        result[column] = margin if margin and margin > 0 else None
    return result


@dataclass(frozen=True)
class Pair:
    """A setting's scores by seed and the baseline's, in one column."""

    column: Column
    scores: Mapping[int, float]
    baseline: Mapping[int, float]
    lost: int  # runs of the setting that trained to no score
    baseline_lost: int = 0  # the same of the baseline


def weigh(pairs: Mapping[Key, Pair], shares: Mapping[Column, float | None]) -> dict[Key, Evidence]:
    """The evidence of a family of comparisons against the margins of their columns.

    A pair without a common seed has none; it stays in the family that Holm adjusts for.
    """
    differences = {key: found for key, pair in pairs.items() if (found := _difference(pair)) is not None}
    limits = {key: _scaled(pair.column, shares.get(pair.column)) for key, pair in pairs.items()}
    within: dict[Key, stats.Margin | None] = {}
    for key, difference in differences.items():
        limit = limits[key]
        found = None if limit is None else stats.against_margin(difference, limit, pairs[key].column.higher)
        within[key] = found
    raw = {
        key: Tests(stats.t_test(differences[key]), test and test.p_equivalent, test and test.p_not_worse)
        for key, test in within.items()
    }
    adjusted = _holm(raw, limits)
    result = {}
    for key in differences:
        pair = pairs[key]
        test, tests = within[key], adjusted[key]
        ps = tests.t, tests.equivalent, tests.not_worse
        word = stats.verdict(differences[key], pair.column.higher, *ps, pair.lost, pair.baseline_lost)
        low, high = (test.low90, test.high90) if test else (None, None)
        result[key] = Evidence(differences[key], limits[key], low, high, raw[key], tests, word)
    return result


def _difference(pair: Pair) -> stats.Summary | None:
    common = sorted(pair.scores.keys() & pair.baseline.keys())
    if not common:
        return None
    if pair.column.ratio:
        return stats.summarize([math.log(pair.scores[seed]) - math.log(pair.baseline[seed]) for seed in common])
    return stats.summarize([pair.scores[seed] - pair.baseline[seed] for seed in common])


def _scaled(column: Column, margin: float | None) -> float | None:
    return math.log1p(margin) if margin is not None and column.ratio else margin


def _holm(raw: Mapping[Key, Tests], limits: Mapping[Key, float | None]) -> dict[Key, Tests]:
    """`limits`: of every pair, tested or not; without one there is nothing to be equivalent to."""
    none = Tests(None, None, None)
    family = {key: raw.get(key, none) for key in limits}
    within = {key: tests for key, tests in family.items() if limits[key] is not None}
    t = stats.adjusted({key: tests.t for key, tests in family.items()})
    equivalent = stats.adjusted({key: tests.equivalent for key, tests in within.items()})
    not_worse = stats.adjusted({key: tests.not_worse for key, tests in within.items()})
    return {key: Tests(t[key], equivalent.get(key), not_worse.get(key)) for key in raw}
