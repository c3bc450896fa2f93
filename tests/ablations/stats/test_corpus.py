import json
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU as SACREBLEU

from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY, SCORES, contributions, statistics
from ablations.stats.units import stretches
from tests.ablations.stats.made import corrupted, packed, references


def bleu_of(units):
    return float(BLEU.value(statistics(BLEU, {"bleu": units}).sum(0)))


@pytest.mark.parametrize("right", [0.95, 0.6, 0.2])
def test_bleu_is_sacrebleu_s(right):
    random = np.random.default_rng(0)
    wanted = references(random, 200)
    found = corrupted(random, wanted, right)
    assert bleu_of(packed(found, wanted)) == pytest.approx(SACREBLEU().corpus_score(found, [wanted]).score, abs=1e-9)


def test_bleu_is_sacrebleu_s_on_real_translations():
    """Those that records of trained translators show."""
    files = (Path(__file__).parents[3] / "results" / "records").glob("*/multi30k_en_de-*.json")
    shown = [sample for file in sorted(files) for sample in json.loads(file.read_text())["samples"]]
    found, wanted = ([sample[side] for sample in shown] for side in ("hypothesis", "reference"))
    assert len(found) >= 80
    assert bleu_of(packed(found, wanted)) == pytest.approx(SACREBLEU().corpus_score(found, [wanted]).score, abs=1e-9)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (["rot"], ["blau"]),  # no match at all
        (["rot"], ["rot"]),  # no longer n-grams
        (["rot blau"], ["rot blau groß und"]),
        (["rot und blau groß"], ["rot blau groß und ein Ball"]),  # smoothed
        (["rot groß blau und Ball", "ein"], ["rot blau", "ein Hund"]),
        (["", "rot blau groß"], ["rot", "rot blau groß"]),  # an empty hypothesis
        ([""], ["rot"]),
        (["rot blau groß und " * 3], ["rot blau groß und"]),  # too long
    ],
)
def test_bleu_is_sacrebleu_s_at_the_edges(found, wanted):
    expected = SACREBLEU().corpus_score(found, [wanted]).score
    assert bleu_of(packed(found, wanted)) == pytest.approx(expected, abs=1e-9)


def test_many_corpora_at_once():
    random = np.random.default_rng(2)
    totals = random.integers(0, 4, (500, 10)).astype(float)
    totals[:, 2:6] = np.minimum(totals[:, 2:6], totals[:, 6:])
    for line, value in zip(totals.astype(int).tolist(), BLEU.value(totals), strict=True):
        expected = SACREBLEU.compute_bleu(line[2:6], line[6:], line[0], line[1], smooth_method="exp").score
        assert value == pytest.approx(expected, abs=1e-9)


def test_perplexity_and_accuracy():
    nll, tokens, right = np.array([2.0, 3.0, 10.0]), np.array([2, 3, 5]), np.array([1, 0, 1, 1], np.uint8)
    assert PERPLEXITY.value(statistics(PERPLEXITY, {"nll": nll, "tokens": tokens}).sum(0)) == 1.5
    assert ACCURACY.value(statistics(ACCURACY, {"right": right}).sum(0)) == 75.0


def made(name, random, n=60):
    if name == "bleu":
        wanted = references(random, n)
        return statistics(BLEU, {"bleu": packed(corrupted(random, wanted, 0.7), wanted)})
    if name == "perplexity":
        return statistics(PERPLEXITY, {"nll": random.gamma(30, 1, n), "tokens": random.integers(5, 30, n)})
    return statistics(ACCURACY, {"right": random.integers(0, 2, n)})


@pytest.mark.parametrize("name", SCORES)
def test_gradients_by_difference_quotients(name):
    score, totals = SCORES[name], made(name, np.random.default_rng(3)).sum(0)
    steps = np.diag(1e-5 * totals)
    slopes = (score.value(totals + steps) - score.value(totals - steps)) / (2 * np.diag(steps))
    assert score.gradient(totals) == pytest.approx(slopes, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_contributions_are_the_jackknife_s(name):
    """Leaving a unit out changes the score by its contribution, to the first order; and their mean is the score."""
    score, units = SCORES[name], made(name, np.random.default_rng(4), 400)
    found, total = contributions(score, units), units.sum(0)
    N = len(units)
    jackknife = N * score.value(total) - (N - 1) * score.value(total - units)
    assert found.mean() == pytest.approx(score.value(total), rel=1e-12)
    assert np.corrcoef(found, jackknife)[0, 1] > 0.999
    assert found.std() == pytest.approx(jackknife.std(), rel=0.02)


def test_contributions_of_several_runs_at_once():
    random = np.random.default_rng(5)
    several = np.stack([made("bleu", random) for _ in range(3)])
    assert contributions(BLEU, several)[1] == pytest.approx(contributions(BLEU, several[1]))


def test_a_score_of_nothing_right_has_no_slope():
    units = np.array([[3.0, 3, 0, 0, 0, 0, 3, 2, 1, 0]] * 4)
    assert contributions(BLEU, units) == pytest.approx(np.zeros(4))


def test_what_is_missing_or_does_not_fit_is_told():
    with pytest.raises(ValueError, match="needs tokens"):
        statistics(PERPLEXITY, {"nll": np.ones(3)})
    with pytest.raises(ValueError, match="3 of nll, 2 of tokens"):
        statistics(PERPLEXITY, {"nll": np.ones(3), "tokens": np.ones(2)})


def test_stretches_keep_every_window_once():
    windows = np.random.default_rng(6).gamma(3, 1, (2, 1037, 2))
    joined = stretches(windows, 100)
    assert joined.shape == (2, 100, 2) and joined.sum(1) == pytest.approx(windows.sum(1))
    assert joined[0, 0] == pytest.approx(windows[0, :10].sum(0)) and joined[1, -1] == pytest.approx(
        windows[1, -11:].sum(0)
    )
    assert stretches(windows[:, :80], 100) is not None and stretches(windows[:, :80], 100).shape == (2, 80, 2)
