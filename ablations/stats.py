"""What a few seeds allow to say. The unit is the seed; two settings are compared pair by pair of equal seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Summary:
    """Scores of one setting over seeds. With one seed there is neither deviation nor interval."""

    mean: float
    sd: float | None  # of the sample (n - 1)
    n: int
    low: float | None  # t interval of the mean at LEVEL
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """A setting minus the baseline, over the seeds both have."""

    difference: Summary
    p: float | None  # exact two-sided sign-flip permutation test; none with one pair
    floor: float | None  # the smallest p that so many pairs can give


def summarize(values: Sequence[float]) -> Summary:
    """Mean, sample standard deviation, and Student's t interval of the mean.

    A bootstrap over so few seeds would be too sure of itself: it covers 78 % at n = 3 where it promises 95 %.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, None, None)
    from scipy.stats import t

    sd = statistics.stdev(values)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Summary(mean, sd, n, mean - half, mean + half)


def compare(scores: Mapping[int, float], baseline: Mapping[int, float]) -> Comparison | None:
    """Paired by seed: both map seed to score. None where no seed is common."""
    differences = [scores[seed] - baseline[seed] for seed in sorted(scores.keys() & baseline.keys())]
    if not differences:
        return None
    p, floor = sign_flip(differences) if len(differences) > 1 else (None, None)
    return Comparison(summarize(differences), p, floor)


def sign_flip(differences: Sequence[float]) -> tuple[float, float]:
    """Exact two-sided p of "these differences are symmetric around 0", and the smallest p that n of them can give.

    p is the share of the 2**n ways to choose signs whose sum is at least as far from 0 as the observed one. The
    floor is 2 / 2**n: 5 pairs cannot go below 0.0625, 6 reach 0.031. Raises ValueError beyond 20 pairs.
    """
    import numpy as np

    n = len(differences)
    if n > 20:
        raise ValueError(f"an exact test over {n} pairs has 2**{n} cases: compare at most 20 seeds")
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    observed = abs(sums[0])  # every sign as it was
    rounding = 1e-9 * math.fsum(map(abs, differences))  # equal sums in another order of addition
    return float(np.mean(np.abs(sums) >= observed - rounding)), 2.0 ** (1 - n)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: all below alpha hold with a family-wise error of alpha."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted
