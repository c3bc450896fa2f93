"""Two settings over seeds and units at once: would other seeds and other sentences say the same?

Runs of several seeds are scored on the same units, so that a difference has an effect of the seed (another start of
training), one of the unit (this architecture likes such sentences) and a residual. A test over seeds alone leaves out
the second and speaks of this test set only; one over the units of a checkpoint leaves out the first. `crossed` and
`hierarchical` have both, by two ways: variance components of each unit's contribution, and resampled corpora.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablations.stats import student
from ablations.stats.corpus import Score, contributions
from ablations.stats.seeds import LEVEL

RESAMPLES = 1000  # of the units: the standard error is then within 2 % of what more would give
BLOCK = 4_000_000  # weights at once, to bound memory


@dataclass(frozen=True)
class Estimate:
    """A mean difference over seeds and units, with its t interval at LEVEL and the p of "it is 0"."""

    value: float
    low: float
    high: float
    p: float  # two-sided
    error: float  # standard
    degrees: float  # of freedom of the error
    seeds: int
    units: int
    of_seeds: float  # the seeds' share of the squared error, residual included; the rest is the units'


def differences(score: Score, setting_SNK: np.ndarray, baseline_SNK: np.ndarray) -> np.ndarray:
    """[S, N]: what each unit contributes to the difference, seed by seed."""
    return contributions(score, setting_SNK) - contributions(score, baseline_SNK)


def crossed(difference_SN: np.ndarray) -> Estimate:
    """From the contribution of every unit in every seed, by the two-way random effects model without replication.

    The variance of the mean is (MS_seeds + MS_units - MS_residual) / (S N): the residual is in both mean squares and
    counts once. Where units make no difference of their own, MS_units - MS_residual may fall below 0 and counts as 0.
    Raises ValueError below 2 seeds or 2 units.
    """
    S, N = _sides(difference_SN)
    seeds, units = difference_SN.mean(1), difference_SN.mean(0)
    mean = float(seeds.mean())
    residual = difference_SN - seeds[:, None] - units[None] + mean
    of_residual = float((residual**2).sum()) / ((S - 1) * (N - 1)) / (S * N)
    return _estimate(mean, float(seeds.var(ddof=1)) / S, float(units.var(ddof=1)) / N, of_residual, S, N)


def hierarchical(
    score: Score,
    setting_SNK: np.ndarray,
    baseline_SNK: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The bootstrap over seeds, as pairs, and over units, common to all seeds; every resampled corpus is scored anew.

    Units are drawn `resamples` times (fixed `seed`); over all resamples of the seeds the mean is taken in closed form.
    As it stands such a bootstrap is not calibrated: with few seeds its percentiles are too near, since the variance of
    S values falls short by (S - 1) / S, and it counts the residual three times, with the seeds, the units and by itself
    (Owen, 2007, "The pigeonhole bootstrap"). So the three parts of its variance are taken apart, freed of both, put
    together as in `crossed`, and the interval is t's. Shapes [S, N, K]. Raises ValueError below 2 seeds or 2 units.
    """
    _sides(setting_SNK)
    seeds = score.value(setting_SNK.sum(1)) - score.value(baseline_SNK.sum(1))
    return of_resamples(seeds, resampled(score, setting_SNK, baseline_SNK, resamples, seed), setting_SNK.shape[1])


def of_resamples(seeds_S: np.ndarray, drawn_RS: np.ndarray, N: int) -> Estimate:
    """`hierarchical` from the differences of S seeds on all N units and on R resamples of these."""
    S, means = len(seeds_S), drawn_RS.mean(1)
    of_seeds = float(((seeds_S - seeds_S.mean()) ** 2).sum()) / S**2  # variance over all resamples of seeds
    within = float(((drawn_RS - means[:, None]) ** 2).sum(1).mean()) / S**2  # the same, with units resampled too
    of_residual = max(0.0, within - of_seeds) * S / (S - 1) * N / (N - 1)
    of_units = float(means.var(ddof=1)) * N / (N - 1)
    return _estimate(float(seeds_S.mean()), of_seeds * S / (S - 1), of_units, of_residual, S, N)


def resampled(score: Score, setting_SNK: np.ndarray, baseline_SNK: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """[resamples, S]: differences of corpora of N units drawn with replacement, the same for all seeds."""
    S, N, K = setting_SNK.shape
    flat = np.concatenate([setting_SNK, baseline_SNK]).transpose(1, 0, 2).reshape(N, -1)
    found = []
    for weights in draws(N, resamples, seed):
        scores = score.value((weights @ flat).reshape(-1, 2, S, K))
        found.append(scores[:, 0] - scores[:, 1])
    return np.concatenate(found)


def draws(units: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of rows [.., units]: how often each unit is in a corpus drawn with replacement."""
    rows = max(1, BLOCK // units)
    for start in range(0, resamples, rows):
        yield _draw(units, min(rows, resamples - start), seed, start)


@functools.lru_cache(maxsize=1)  # one test set is asked for again and again
def _draw(units: int, rows: int, seed: int, start: int) -> np.ndarray:
    random = np.random.default_rng((seed, start))
    chosen = random.integers(units, size=(rows, units)) + units * np.arange(rows)[:, None]
    return np.bincount(chosen.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)


def _estimate(mean: float, of_seeds: float, of_units: float, of_residual: float, S: int, N: int) -> Estimate:
    """From variances of the mean; those of seeds and of units have the residual's in them.

    The degrees of freedom are the harmonic mean of both, weighted by their shares of the variance. Satterthwaite
    weights by the squares of the shares, and with 3 seeds then rejects up to 7.8 % of true null hypotheses, where these
    have nine tenths of the variance; this keeps between 3.7 and 5.8 % whatever the share (`python scripts/bench.py
    calibration`, last table).
    """
    of_units = max(0.0, of_units - of_residual)
    variance = of_seeds + of_units
    error = math.sqrt(variance)
    share = of_seeds / variance if variance else 1.0
    degrees = 1 / (share / (S - 1) + (1 - share) / (N - 1))
    half = student.quantile((1 + LEVEL) / 2, degrees) * error
    p = 2 * student.above(abs(student.ratio(mean, error)), degrees)
    return Estimate(mean, mean - half, mean + half, p, error, degrees, S, N, share)


def _sides(values: np.ndarray) -> tuple[int, int]:
    S, N = values.shape[:2]
    if S < 2 or N < 2:
        raise ValueError(f"{S} seeds and {N} units say nothing about others: it takes 2 or more of both")
    return S, N
