"""Two checkpoints on the same units: do they differ on texts like these?

Never a statement about their architectures: two checkpoints of one architecture and two seeds differ as well, and these
tests find it (`MEASURED`). For architectures see `crossed`.
"""

import functools
from dataclasses import dataclass

import numpy as np

from ablations.stats.corpus import Score
from ablations.stats.crossed import resampled
from ablations.stats.seeds import LEVEL

SEED = 12345  # sacreBLEU's
TRIALS, RESAMPLES = 10_000, 1000  # sacreBLEU's of both tests
INTERVAL = 2000  # resamples for an interval
BLOCK = 4_000_000  # selections at once, to bound memory
# In percent at a nominal 5 %, by `python scripts/bench.py calibration`: how often sacreBLEU's paired bootstrap rejects
# where nothing differs; how often any of these tests would if it were read as one of architectures, least and most.
MEASURED = {"sacrebleu": 10.8, "architectures": (7.6, 58.0)}
TIE = 1e-9  # of a score: sums in another order


@dataclass(frozen=True)
class Centred:
    """Of the paired bootstrap whose resampled differences are centred first, and then made positive."""

    low: float  # at LEVEL
    high: float
    p: float


def randomised(score: Score, setting_NK: np.ndarray, baseline_NK: np.ndarray, trials: int = TRIALS) -> float:
    """p of paired approximate randomisation, two-sided: each unit's two outputs change sides or not.

    That of sacreBLEU's `PairedTest(test_type="ar")` to the last digit, as it draws the same, with one exception: a
    trial as far apart as the observed scores counts as such. sacreBLEU wants it to be further, and finds an output
    different from itself. Where 2**N ways are no more than the trials, all are tried. For perplexity, with the same
    tokens on both sides, it is the sign-flip test of the difference in nats.
    """
    N = len(setting_NK)
    observed = abs(float(score.value(setting_NK.sum(0)) - score.value(baseline_NK.sum(0)))) - TIE
    total = setting_NK.sum(0) + baseline_NK.sum(0)
    if trials >= 2**N:
        sides = (np.arange(2**N)[:, None] >> np.arange(N) & 1).astype(np.float64)
        one = sides @ setting_NK + (1 - sides) @ baseline_NK
        return float(np.mean(np.abs(score.value(one) - score.value(total - one)) >= observed))
    chosen, far, rows = _sides(N, trials), 0, max(1, BLOCK // N)
    for start in range(0, trials, rows):
        # With the difference alone half of the multiplications do.
        part = chosen[start : start + rows].astype(np.float64, copy=False)
        one = setting_NK.sum(0) + part @ (baseline_NK - setting_NK)
        far += int(np.sum(np.abs(score.value(one) - score.value(total - one)) >= observed))
    return (far + 1) / (trials + 1)


def sacrebleu_bootstrap(score: Score, setting_NK: np.ndarray, baseline_NK: np.ndarray, n: int = RESAMPLES) -> float:
    """p of sacreBLEU's `PairedTest(test_type="bs")`, as it stands there: it rejects too often.

    It takes the absolute value of the resampled differences before it centres them (as Moses' script did), which makes
    the test one-sided. `MEASURED` says how often it rejects where nothing differs. Given because it is widely printed.
    """
    N = len(setting_NK)
    weights = _weights(N, n)
    sizes = np.abs(score.value(weights @ setting_NK) - score.value(weights @ baseline_NK))
    observed = abs(float(score.value(setting_NK.sum(0)) - score.value(baseline_NK.sum(0))))
    return (int(np.sum(sizes - sizes.mean() > observed)) + 1) / (n + 1)


def centred(
    score: Score, setting_NK: np.ndarray, baseline_NK: np.ndarray, resamples: int = INTERVAL, seed: int = 0
) -> Centred:
    """The paired bootstrap, two-sided: the difference plus and minus what LEVEL of the resampled ones keep to their
    mean. Of perplexity, whose score is a logarithm: of the ratio of sums.

    Deviations are lengthened by sqrt(N / (N - 1)), by which those of a resample fall short. Raises ValueError below 2
    units.
    """
    if (N := len(setting_NK)) < 2:
        raise ValueError(f"{N} units say nothing about others: it takes 2 or more")
    drawn = resampled(score, setting_NK[None], baseline_NK[None], resamples, seed)[:, 0]
    far = np.sort(np.abs(drawn - drawn.mean())) * (N / (N - 1)) ** 0.5
    observed = float(score.value(setting_NK.sum(0)) - score.value(baseline_NK.sum(0)))
    half = float(np.quantile(far, LEVEL))
    p = (int(np.sum(far >= abs(observed) - TIE)) + 1) / (resamples + 1)
    return Centred(observed - half, observed + half, p)


@functools.lru_cache(maxsize=1)  # one test set is asked for again and again
def _sides(N: int, trials: int) -> np.ndarray:
    """Drawn at once, as sacreBLEU does: in parts the numbers would be others."""
    chosen = np.random.default_rng(SEED).integers(2, size=(trials, N), dtype=bool)
    return chosen.astype(np.float64) if chosen.size <= 2 * BLOCK else chosen  # so many may be kept as what they become


@functools.lru_cache(maxsize=1)
def _weights(N: int, n: int) -> np.ndarray:
    """How often each unit is in each of n resamples, which sacreBLEU draws as indices."""
    chosen = np.random.default_rng(SEED).choice(N, size=(n, N), replace=True) + N * np.arange(n)[:, None]
    return np.bincount(chosen.ravel(), minlength=n * N).reshape(n, N).astype(np.float64)
