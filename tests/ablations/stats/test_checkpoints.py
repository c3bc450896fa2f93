import logging

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU as SACREBLEU
from sacrebleu.significance import PairedTest
from scipy import stats as scipy

from ablations.bench.nulls import World, make
from ablations.stats import sign_flip
from ablations.stats.checkpoints import centred, randomised, sacrebleu_bootstrap
from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY, statistics
from tests.ablations.stats.made import corrupted, packed, references


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(0)
    wanted = references(random, 150)
    return wanted, corrupted(random, wanted, 0.75), corrupted(random, wanted, 0.73)


@pytest.mark.parametrize(("kind", "ours"), [("ar", randomised), ("bs", sacrebleu_bootstrap)])
def test_p_is_that_of_sacrebleu_on_the_texts(texts, kind, ours, monkeypatch):
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    monkeypatch.setattr(logging.getLogger("sacrebleu"), "disabled", True)
    wanted, one, other = texts
    systems = [("baseline", other), ("setting", one)]
    _, found = PairedTest(systems, {"bleu": SACREBLEU(references=[wanted])}, None, test_type=kind)()
    units = (statistics(BLEU, {"bleu": packed(text, wanted)}) for text in (one, other))
    p = ours(BLEU, *units)
    assert p == found["BLEU"][1].p_value and 0.001 < p < 0.5


def test_an_output_does_not_differ_from_itself(texts):
    wanted, one, _ = texts
    units = statistics(BLEU, {"bleu": packed(one, wanted)})
    assert randomised(BLEU, units, units) == 1.0
    assert centred(BLEU, units, units).p == 1.0


def test_of_few_windows_all_ways_are_tried():
    random = np.random.default_rng(1)
    tokens = random.integers(20, 30, 9)
    one, other = (statistics(PERPLEXITY, {"nll": tokens * random.normal(3, 0.1, 9), "tokens": tokens}) for _ in "ab")
    assert randomised(PERPLEXITY, one, other) == pytest.approx(sign_flip((one - other)[:, 0].tolist())[0])


def test_of_many_windows_the_sign_flip_is_scipy_s():
    random = np.random.default_rng(2)
    one, other = (np.stack([random.normal(300, 3, 80), np.full(80, 100.0)], -1) for _ in "ab")
    reference = scipy.permutation_test(
        ((one - other)[:, 0],), np.mean, permutation_type="samples", n_resamples=8000, rng=random, vectorized=True
    )
    assert randomised(PERPLEXITY, one, other) == pytest.approx(reference.pvalue, abs=0.02)


def test_accuracy_is_mcnemar_s_exact_test():
    random = np.random.default_rng(3)
    one, other = random.integers(0, 2, (2, 300))
    better, worse = int(np.sum(one > other)), int(np.sum(one < other))
    expected = scipy.binomtest(better, better + worse).pvalue
    found = randomised(ACCURACY, *(statistics(ACCURACY, {"right": right}) for right in (one, other)))
    assert found == pytest.approx(expected, abs=0.02)


def test_the_centred_interval_of_a_mean_is_that_of_the_normal_distribution():
    random = np.random.default_rng(4)
    one, other = (np.stack([random.normal(300, 3, 200), np.full(200, 100.0)], -1) for _ in "ab")
    difference = (one - other)[:, 0] / 100
    half = 1.96 * difference.std(ddof=1) / 200**0.5
    found = centred(PERPLEXITY, one, other, resamples=8000)
    assert (found.low, found.high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=half / 20)
    far = abs(difference.mean()) / difference.std(ddof=1) * 200**0.5
    assert found.p == pytest.approx(2 * scipy.norm.sf(far), abs=0.02)


def test_the_order_of_units_changes_nothing_but_the_numbers_drawn():
    data = make(World(PERPLEXITY, 0.0, 0.1, 200), np.random.default_rng(5), 1, 2, 1)[0, :, 0]
    mixed = np.random.default_rng(6).permutation(200)
    first, second = centred(PERPLEXITY, *data), centred(PERPLEXITY, *data[:, mixed])
    assert first.low == pytest.approx(second.low, abs=0.1 * (first.high - first.low))


def test_level_over_null_data():
    """2,000 pairs of checkpoints between which nothing differs: 1,000 trials each, to be quick."""
    data = make(World(PERPLEXITY, 0.0, 0.1, 40), np.random.default_rng(7), 2000, 2, 1)[:, :, 0]
    rejected = np.mean([randomised(PERPLEXITY, *one, trials=400) <= 0.05 for one in data])
    assert 0.035 < rejected < 0.065


def test_one_unit_says_nothing_about_others():
    with pytest.raises(ValueError, match="1 units say nothing about others"):
        centred(PERPLEXITY, np.array([[3.0, 1.0]]), np.array([[4.0, 1.0]]))
