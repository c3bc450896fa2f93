"""What a few seeds allow to say. The unit is the seed; two settings are compared pair by pair of equal seed."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ablations.stats import student

Key = TypeVar("Key", bound=Hashable)
LEVEL = 0.95
EXACT = 30  # pairs up to which sign flips are counted and not sampled: two halves of 2**15 sums
RESAMPLES = 99_999  # beyond


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
    # Pearson's r of the scores of equal seed: what pairing removes. None below 3 pairs or where one side never varies.
    correlation: float | None = None


def summarize(values: Sequence[float]) -> Summary:
    """Mean, sample standard deviation, and Student's t interval of the mean.

    A bootstrap over so few seeds would be too sure of itself: it covers 78 % at n = 3 where it promises 95 %.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, None, None)
    sd = deviation(values)
    half = quantile(n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, n, mean - half, mean + half)


def quantile(degrees: float) -> float:
    """Student's t at (1 + LEVEL) / 2."""
    return student.quantile((1 + LEVEL) / 2, degrees)


def deviation(values: Sequence[float]) -> float:
    """`statistics.stdev` to the last bit, several times as fast: whole numbers in place of fractions.

    Every value is a whole number of 2**least, a power so small that it fits all. Two values at least, all finite.
    """
    parts = [math.frexp(value) for value in values]  # fraction of 53 bits, exponent
    n, least = len(parts), min(exponent for _, exponent in parts) - 53
    whole = [int(fraction * 2**53) << (exponent - 53 - least) for fraction, exponent in parts]
    above, below = n * sum(number * number for number in whole) - sum(whole) ** 2, n * (n - 1)
    shift = max(0, 64 - above.bit_length() // 2)  # for a root of more bits than a float has
    above <<= 2 * shift
    root = math.isqrt(above // below)
    if root * root * below != above:  # between two numbers of so many bits: one more tells which way a float rounds
        return math.ldexp(root << 1 | 1, least - shift - 1)
    return math.ldexp(root, least - shift)


def compare(
    scores: Mapping[int, float], baseline: Mapping[int, float], scale: Callable[[float], float] | None = None
) -> Comparison | None:
    """Paired by seed: both map seed to score. None where no seed is common.

    With a `scale`, such as `math.log`, p and correlation are of scores on it; the difference stays one of scores.
    """
    seeds = sorted(scores.keys() & baseline.keys())
    if not seeds:
        return None
    own, other = [scores[seed] for seed in seeds], [baseline[seed] for seed in seeds]
    difference = summarize([one - two for one, two in zip(own, other, strict=True)])
    if scale is not None:
        own, other = list(map(scale, own)), list(map(scale, other))
    tested = [one - two for one, two in zip(own, other, strict=True)]
    p, floor = sign_flip(tested) if len(tested) > 1 else (None, None)
    return Comparison(difference, p, floor, correlation(own, other))


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's r of pairs. None below 3 pairs, of which two always lie on a line, or where one side never varies."""
    if len(first) < 3 or min(first) == max(first) or min(second) == max(second):
        return None
    # Scaled first, so that squares of very large or small scores stay within what a float holds.
    one, other = _centred(first), _centred(second)
    below = math.sqrt(math.fsum(x * x for x in one) * math.fsum(y * y for y in other))
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(one, other, strict=True)) / below))


def _centred(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    far = max(abs(value - mean) for value in values)
    return [(value - mean) / far for value in values]


def t_test(difference: Summary) -> float | None:
    """Two-sided p of Student's t test of "the mean is 0"; of paired differences, the paired t test.

    None with one value. Where all values are equal, p is 1 if they are 0, else 0.
    """
    if difference.sd is None:
        return None
    t = student.ratio(difference.mean, difference.sd / math.sqrt(difference.n))
    return 2 * student.above(abs(t), difference.n - 1)


def sign_flip(differences: Sequence[float]) -> tuple[float, float]:
    """Two-sided p of "these differences are symmetric around 0", and the smallest p that n of them can give.

    p is the share of the 2**n ways to choose signs whose sum is at least as far from 0 as the observed one. The
    floor is 2 / 2**n: 5 pairs cannot go below 0.0625, 6 reach 0.031. Up to EXACT pairs every way counts. Of more
    pairs `scipy.stats.permutation_test` draws RESAMPLES ways with a fixed seed; as it counts the observed one among
    them the test keeps its level, and the floor is 2 / (RESAMPLES + 1).
    """
    n = len(differences)
    if n > EXACT:
        return _sampled_sign_flip(differences)
    sizes = [abs(difference) for difference in differences]
    total, rounding = math.fsum(sizes), 1e-9  # equal sums in another order of addition
    # A sum is total less twice what is subtracted: as far as the observed one, if no more than this is subtracted.
    most = (total - abs(math.fsum(differences)) + rounding * total) / 2
    if 2 * most >= total:
        return 1.0, 2.0 ** (1 - n)
    # The 2**n choices are those in one half and in the other: as one half takes more, less is left for the other.
    first, second = _sums_up_to(most, sizes[: n // 2]), _sums_up_to(most, sizes[n // 2 :])
    far, fitting = 0, len(second)
    for one in first:
        while fitting > 0 and one + second[fitting - 1] > most:
            fitting -= 1
        far += fitting
    return 2 * far / 2**n, 2.0 ** (1 - n)  # twice: with all signs changed a sum is as far from 0


def _sampled_sign_flip(differences: Sequence[float]) -> tuple[float, float]:
    import numpy as np
    from scipy.stats import permutation_test

    found = permutation_test(
        (np.asarray(differences, float),),
        lambda x, axis: np.sum(x, axis=axis),
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=1000,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue), 2 / (RESAMPLES + 1)


def _sums_up_to(most: float, sizes: Sequence[float]) -> list[float]:
    """The sums of all choices among the sizes, in order, without those that are too large."""
    sums = [0.0]
    for size in sizes:
        sums = sorted(sums + [more for one in sums if (more := one + size) <= most])
    return sums


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: all below alpha hold with a family-wise error of alpha."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def adjusted(ps: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Holm's adjusted p-values by name. None stands for a test that was planned and could not be made.

    It stays None and counts as p = 1: that a setting was lost makes no other comparison easier.
    """
    found = zip(ps, holm([1.0 if p is None else p for p in ps.values()]), strict=True)
    return {key: p if ps[key] is not None else None for key, p in found}
