"""What a few seeds allow to say. The unit is the seed; two settings are compared pair by pair of equal seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95
# Student's t with 1, 2, 3, ... degrees of freedom at (1 + LEVEL) / 2; SciPy, asked for more, takes a second to import.
QUANTILES = (12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.5705818356363146)
QUANTILES += (2.4469118511449786, 2.364624251592784, 2.306004135204166, 2.262157162798205, 2.228138851986274)
QUANTILES += (2.200985160091639, 2.1788128296672284, 2.1603686564627913, 2.144786687917804, 2.131449545559776)
QUANTILES += (2.1199052992212546, 2.1098155778333156, 2.1009220402410382, 2.0930240544083087, 2.085963447265864)


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
    sd = deviation(values)
    half = quantile(n - 1) * sd / math.sqrt(n)
    return Summary(mean, sd, n, mean - half, mean + half)


def quantile(degrees: int) -> float:
    """Student's t at (1 + LEVEL) / 2."""
    if degrees <= len(QUANTILES):
        return QUANTILES[degrees - 1]
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, degrees))


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
    n = len(differences)
    if n > 20:
        raise ValueError(f"an exact test over {n} pairs has 2**{n} cases: compare at most 20 seeds")
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
