"""Whether a difference is too small to matter, by a margin fixed beforehand; and what a comparison comes to in a word.

A large p says nothing about equality. That a setting does as well as the baseline needs tests of its own, whose null
hypotheses are "it differs by the margin or more" and "it is worse by the margin or more".
"""

import math
from dataclasses import dataclass

from ablations.stats import student
from ablations.stats.seeds import LEVEL, Summary

VERDICTS = ("better", "worse", "equivalent", "not worse", "inconclusive")


@dataclass(frozen=True)
class Margin:
    """A mean of paired differences against a margin, both in units of the score."""

    margin: float
    p_equivalent: float  # two one-sided paired t tests; the larger p
    p_not_worse: float  # of non-inferiority: one-sided paired t test
    low90: float  # the t interval that lies within the margin if and only if p_equivalent < 1 - LEVEL
    high90: float


def against_margin(difference: Summary, margin: float, higher: bool) -> Margin | None:
    """TOST (Schuirmann, 1987) and non-inferiority of setting minus baseline, by seed. None with one pair.

    `higher`: larger scores are better. Raises ValueError where the margin is not above 0.
    """
    _refuse(margin)
    if difference.sd is None:
        return None
    return of_error(difference.mean, difference.sd / math.sqrt(difference.n), difference.n - 1, margin, higher)


def of_error(mean: float, error: float, degrees: float, margin: float, higher: bool) -> Margin:
    """The same from a mean, its standard error and that error's degrees of freedom, which need not be whole."""
    _refuse(margin)
    above_lower = student.above(student.ratio(mean + margin, error), degrees)  # of "at least a margin below 0"
    below_upper = student.above(student.ratio(margin - mean, error), degrees)  # of "at least a margin above 0"
    half = student.quantile(LEVEL, degrees) * error
    worse = above_lower if higher else below_upper
    return Margin(margin, max(above_lower, below_upper), worse, mean - half, mean + half)


def verdict(
    difference: Summary,
    higher: bool,
    p: float | None,
    p_equivalent: float | None = None,
    p_not_worse: float | None = None,
    diverged: int = 0,
    baseline_diverged: int = 0,
) -> str:
    """One of VERDICTS, from p values already adjusted for their family; None stands for a test that was not made.

    In this order, each at 1 - LEVEL:

    - equivalent, if TOST says so, even where the t test finds a difference: it is smaller than what matters;
    - better or worse, if the t test says so, by the sign of the mean;
    - not worse, if non-inferiority says so;
    - inconclusive, if nothing does, which is no evidence of equality.

    `p`: of the two-sided t test; `higher`: larger scores are better; `diverged`: runs of the setting that came to no
    score. With any, it can be worse or inconclusive and nothing else, as those that came through are a selection.
    `baseline_diverged`: the same of the baseline. Its mean is then that of the runs that came through: a setting that
    is better or not worse even so stays that, and nothing is worse or equivalent, as the pairs that are missing would
    speak for the setting. With runs of both gone, all is inconclusive.

    A setting has one chance of 5 % to be wronged, not three: no true difference violates more than one of the null
    hypotheses, but that of worse by the margin or more, where equivalent implies not worse. Over a family adjusted by
    Holm, each of the three kinds of error has 5 % for itself.
    """
    alpha = 1 - LEVEL

    def holds(value: float | None) -> bool:
        return value is not None and value < alpha

    # What runs that are gone leave standing; the test that comes first in the order may be one of those they do not.
    open_to = set(VERDICTS)
    if diverged:
        open_to &= {"worse"}
    if baseline_diverged:
        open_to &= {"better", "not worse"}
    sign = "better" if (difference.mean > 0) == higher else "worse"
    found = (
        ("equivalent", holds(p_equivalent)),
        (sign, holds(p) and difference.mean != 0),
        ("not worse", holds(p_not_worse)),
    )
    return next((word for word, holding in found if holding and word in open_to), "inconclusive")


def _refuse(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"a margin of {margin:g} leaves nothing to be equivalent: give one above 0")
