"""How many seeds a question needs, and how small a difference so many seeds can find.

`sd` is that of paired differences, setting minus baseline of equal seed. Power is that of the two-sided paired t test,
by the noncentral t distribution; of TOST at a true difference of 0, by an integral over the sample deviation.
"""

import functools
import math
from collections.abc import Callable
from statistics import NormalDist

from ablations.stats import student

MOST = 100_000  # seeds; whoever needs more should ask something else


def detectable(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference that n pairs find with this power, in units of `sd`'s. Needs 2 pairs."""
    _refuse(sd, power, alpha)
    if n < 2:
        raise ValueError(f"{n} pairs have no deviation and detect nothing: take 2 or more")
    return sd * _noncentrality(n - 1, power, alpha) / math.sqrt(n)


def seeds_to_detect(sd: float, difference: float, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """The fewest pairs that find this difference with this power; None beyond MOST.

    Raises ValueError for a difference of 0, which no number of seeds detects.
    """
    _refuse(sd, power, alpha)
    if difference == 0:
        raise ValueError("no number of seeds detects a difference of 0: give the smallest that would matter")
    if sd == 0:
        return 2
    effect = abs(difference) / sd
    guess = ((_normal(1 - alpha / 2) + _normal(power)) / effect) ** 2
    return _fewest(lambda n: t_power(effect, n, alpha) >= power, guess)


def seeds_for_equivalence(sd: float, margin: float, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """The fewest pairs with which TOST shows a true difference of 0 to be within the margin; None beyond MOST."""
    _refuse(sd, power, alpha)
    if not margin > 0:
        raise ValueError(f"a margin of {margin:g} leaves nothing to be equivalent: give one above 0")
    if sd == 0:
        return 2
    guess = ((_normal(1 - alpha) + _normal((1 + power) / 2)) * sd / margin) ** 2
    return _fewest(lambda n: tost_power(margin / sd, n, alpha) >= power, guess)


@functools.cache
def t_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Of the two-sided paired t test; `effect` is the true difference in standard deviations of the differences."""
    return _power(effect * math.sqrt(n), n - 1, alpha)


@functools.cache
def tost_power(margin: float, n: int, alpha: float = 0.05) -> float:
    """Of TOST at a true difference of 0; the margin is in standard deviations of the differences.

    Given the sample deviation s, TOST succeeds if |mean| < margin - t s / sqrt(n), and the mean is normal whatever s
    is: the probability is integrated over the density of s, up to the s beyond which no mean is small enough.
    """
    import numpy as np
    from scipy.special import erf, gammaln

    degrees, wide, t = n - 1, margin * math.sqrt(n), student.quantile(1 - alpha, n - 1)
    spread = 9 / math.sqrt(2 * degrees)  # beyond, the density of s is below 1e-12
    low, high = max(0.0, 1 - spread), min(wide / t, 1 + spread)
    if high <= low:
        return 0.0
    nodes, weights = _gauss()
    s = low + (high - low) * nodes
    logs = (degrees - 1) * np.log(s) - degrees * s**2 / 2  # sqrt(degrees) s is chi
    scale = math.log(2) + degrees / 2 * math.log(degrees / 2) - float(gammaln(degrees / 2))
    density = np.exp(logs + scale)
    return float((high - low) * (weights @ (density * erf((wide - t * s) / math.sqrt(2)))))


def _power(noncentrality: float, degrees: int, alpha: float) -> float:
    from scipy.special import nctdtr

    t = student.quantile(1 - alpha / 2, degrees)
    # The tail where a difference is found with the wrong sign counts too. Where a tail is below what a float resolves
    # beside 1, SciPy may give no number: of the wrong one, less than P(z < -noncentrality), and of what is missed.
    wrong = nctdtr(degrees, noncentrality, -t) if noncentrality < 6 else 0.0
    missed = float(nctdtr(degrees, noncentrality, t))
    return 1.0 if math.isnan(missed) and noncentrality > 2 * t else float(1 - missed + wrong)


@functools.cache
def _noncentrality(degrees: int, power: float, alpha: float) -> float:
    low, high = 0.0, 1.0
    while _power(high, degrees, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _power(middle, degrees, alpha) < power else (low, middle)
    return high


def _fewest(enough: Callable[[int], bool], guess: float) -> int | None:
    """From 2 on; what is enough stays enough with more. Near a good guess a few questions settle it."""
    high = max(2, min(MOST, math.ceil(guess)))
    low, step = high - 1, 1
    while not enough(high):
        if high == MOST:
            return None
        low, high, step = high, min(MOST, high + step), 2 * step
    while low > 1 and step == 1 and enough(low):  # the guess was enough: down from there
        high, low = low, low - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _normal(p: float) -> float:
    return NormalDist().inv_cdf(p)


@functools.cache
def _gauss():
    """64 nodes and weights of Gauss and Legendre on (0, 1)."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(64)
    return (nodes + 1) / 2, weights / 2


def _refuse(sd: float, power: float, alpha: float) -> None:
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd {sd:g} is no standard deviation: give one of 0 or more")
    if not 0 < alpha < power < 1:
        raise ValueError(f"power {power:g} at alpha {alpha:g} asks nothing: give 0 < alpha < power < 1")
