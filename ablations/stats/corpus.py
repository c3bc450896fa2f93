"""Scores of a corpus from what is summed over its units: sentences, windows of text, or examples.

Every score here is a function of totals over units, so that a resampled corpus needs no text: its totals are weights
times the units' statistics. `value` takes totals [..., K] to scores [...], and its gradient, times a unit's statistics,
says how much that unit contributes (the delta method, or infinitesimal jackknife: Efron and Tibshirani, 1993, ch. 21).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

ORDERS = 4  # of n-grams


@dataclass(frozen=True)
class Score:
    """A score of a corpus and its units' statistics."""

    name: str
    fields: tuple[str, ...]  # arrays of a record's units that it needs
    higher: bool  # larger is better
    ratio: bool  # differences are of logarithms and shown as ratios
    statistics: Callable[..., np.ndarray]  # those arrays -> [N, K] float64
    value: Callable[[np.ndarray], np.ndarray]  # totals [..., K] -> [...]
    gradient: Callable[[np.ndarray], np.ndarray]  # totals [..., K] -> [..., K]


def statistics(score: Score, units: Mapping[str, np.ndarray]) -> np.ndarray:
    """[N, K] of one run on one split. Raises ValueError where a field is missing or fields differ in length."""
    missing = [field for field in score.fields if field not in units]
    if missing:
        raise ValueError(f"{score.name} needs {' and '.join(missing)} of every unit: evaluate the run again")
    lengths = {field: len(units[field]) for field in score.fields}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{count} of {field}" for field, count in lengths.items())
        raise ValueError(f"units do not fit together ({told}): evaluate the run again")
    return score.statistics(*(np.asarray(units[field], np.float64) for field in score.fields))


def contributions(score: Score, units_SNK: np.ndarray) -> np.ndarray:
    """[..., N]: each unit's share in the score of its corpus [..., N, K]; their mean over N is the score.

    The score plus the delta method's influence of the unit, exact where the score is a mean.
    """
    totals = units_SNK.sum(-2)
    influence = units_SNK.shape[-2] * np.einsum("...nk,...k->...n", units_SNK, score.gradient(totals))
    return score.value(totals)[..., None] + influence - influence.mean(-1, keepdims=True)


def _bleu_statistics(packed: np.ndarray) -> np.ndarray:
    """[N, 6] lengths of hypothesis and reference, and correct n-grams -> [N, 10], with the n-grams there are."""
    there = [np.maximum(0, packed[:, 0] - order) for order in range(ORDERS)]
    return np.column_stack([packed, *there])


def _bleu(totals: np.ndarray) -> np.ndarray:
    """In percent, as sacreBLEU has it by default: smoothing `exp`, no effective order."""
    ours, theirs, correct, there = _parts(totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        none = (correct == 0) & (there > 0)
        halvings = 2.0 ** np.cumsum(none, -1)  # the n-th order without a match counts as 1 / 2**n of one
        logs = np.log(np.where(none, 1 / halvings, correct) / there)
        # As soon as there is no n-gram at all the geometric mean, and with it the score, is 0.
        mean = np.where((there > 0).all(-1), logs.mean(-1), -np.inf)
        brevity = np.where(ours < theirs, 1 - theirs / ours, 0.0)  # -inf of an empty hypothesis
        score = 100 * np.exp(mean + brevity)
    return np.where((correct > 0).any(-1), score, 0.0)


def _bleu_gradient(totals: np.ndarray) -> np.ndarray:
    """0 where the score is 0; where it is smoothed, a match more or less is not followed."""
    ours, theirs, correct, there = _parts(totals)
    short = ours < theirs
    with np.errstate(divide="ignore", invalid="ignore"):
        of_lengths = np.stack([np.where(short, theirs / ours**2, 0.0), np.where(short, -1 / ours, 0.0)], -1)
        of_correct = np.where(correct > 0, 1 / correct, 0.0) / ORDERS
        slopes = np.concatenate([of_lengths, of_correct, -1 / there / ORDERS], -1)
    value = _bleu(totals)[..., None]
    return np.where(value > 0, value * np.where(value > 0, slopes, 0.0), 0.0)


def _parts(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    totals = np.asarray(totals, np.float64)
    return totals[..., 0], totals[..., 1], totals[..., 2 : 2 + ORDERS], totals[..., 2 + ORDERS :]


def _mean(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def _mean_gradient(totals: np.ndarray) -> np.ndarray:
    return np.stack([1 / totals[..., 1], -totals[..., 0] / totals[..., 1] ** 2], -1)


BLEU = Score("bleu", ("bleu",), True, False, _bleu_statistics, _bleu, _bleu_gradient)
# Nats per token, the logarithm of perplexity: a difference of theirs is that of a ratio of perplexities.
PERPLEXITY = Score(
    "perplexity", ("nll", "tokens"), False, True, lambda nll, tokens: np.stack([nll, tokens], -1), _mean, _mean_gradient
)
ACCURACY = Score(
    "accuracy",
    ("right",),
    True,
    False,
    lambda right: np.stack([100 * right, np.ones_like(right)], -1),
    _mean,
    _mean_gradient,
)
SCORES = {score.name: score for score in (BLEU, PERPLEXITY, ACCURACY)}
