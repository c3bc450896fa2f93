import numpy as np
import pytest
from scipy import stats as scipy

from ablations.bench.nulls import World, make
from ablations.stats import summarize, t_test
from ablations.stats.corpus import BLEU, PERPLEXITY, contributions
from ablations.stats.crossed import crossed, differences, draws, hierarchical, of_resamples, resampled


def effects(random, S, N, seed, unit, residual):
    return random.normal(0, seed, (S, 1)) + random.normal(0, unit, (1, N)) + random.normal(0, residual, (S, N))


def test_variance_is_that_of_the_anova_table():
    values = effects(np.random.default_rng(0), 4, 30, 1.0, 2.0, 1.5)
    S, N = values.shape
    rows, columns, mean = values.mean(1), values.mean(0), values.mean()
    ms_seeds = N * np.sum((rows - mean) ** 2) / (S - 1)
    ms_units = S * np.sum((columns - mean) ** 2) / (N - 1)
    ms_residual = np.sum((values - rows[:, None] - columns + mean) ** 2) / ((S - 1) * (N - 1))
    found = crossed(values)
    assert found.error**2 == pytest.approx((ms_seeds + ms_units - ms_residual) / (S * N))
    assert found.value == pytest.approx(mean) and (found.seeds, found.units) == (4, 30)
    share = ms_seeds / (ms_seeds + ms_units - ms_residual)
    assert found.of_seeds == pytest.approx(share)
    assert 1 / found.degrees == pytest.approx(share / (S - 1) + (1 - share) / (N - 1))
    half = scipy.t.ppf(0.975, found.degrees) * found.error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))
    assert found.p == pytest.approx(2 * scipy.t.sf(abs(mean) / found.error, found.degrees))


def test_variance_is_right_on_average():
    random = np.random.default_rng(1)
    found = [crossed(effects(random, 5, 40, 0.5, 2.0, 3.0)) for _ in range(3000)]
    true = 0.25 / 5 + 4 / 40 + 9 / 200
    assert np.mean([one.error**2 for one in found]) == pytest.approx(true, rel=0.03)
    assert np.var([one.value for one in found]) == pytest.approx(true, rel=0.08)


def test_where_units_are_alike_it_is_the_t_test_over_seeds():
    values = np.random.default_rng(2).normal(0, 1, (5, 1)) + np.zeros((5, 50))
    found, seeds = crossed(values), summarize(values[:, 0].tolist())
    assert (found.low, found.high, found.p) == pytest.approx((seeds.low, seeds.high, t_test(seeds)))


def test_where_seeds_are_alike_it_is_the_t_test_over_units():
    values = np.zeros((5, 1)) + np.random.default_rng(3).normal(0, 1, (1, 50))
    found, units = crossed(values), summarize(values[0].tolist())
    assert (found.low, found.high, found.p) == pytest.approx((units.low, units.high, t_test(units)))


def test_nothing_differs_at_all():
    found = crossed(np.zeros((3, 10)))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_one_seed_is_refused():
    with pytest.raises(ValueError, match="1 seeds"):
        crossed(np.zeros((1, 10)))
    with pytest.raises(ValueError, match="2 or more"):
        hierarchical(BLEU, np.ones((1, 10, 10)), np.ones((1, 10, 10)))


@pytest.fixture(scope="module")
def translations():
    return make(World(BLEU, 0.02, 0.2, 300), np.random.default_rng(4), 1, 2, 5, shift=0.05)[0]


def test_both_ways_agree(translations):
    one = crossed(differences(BLEU, *translations))
    other = hierarchical(BLEU, *translations, resamples=4000)
    assert other.value == pytest.approx(one.value) and other.error == pytest.approx(one.error, rel=0.08)
    assert other.degrees == pytest.approx(one.degrees, rel=0.3)


def test_the_mean_difference_is_that_of_the_scores(translations):
    scores = BLEU.value(translations.sum(2)).mean(1)
    assert crossed(differences(BLEU, *translations)).value == pytest.approx(scores[0] - scores[1])


def test_the_closed_form_over_seeds_is_what_drawing_seeds_gives(translations):
    """The uncorrected variance is that of a bootstrap that draws both; of it the parts are taken."""
    drawn = resampled(BLEU, *translations, 4000, 0)
    S, N = drawn.shape[1], translations.shape[2]
    chosen = np.random.default_rng(5).integers(S, size=(20, *drawn.shape))
    both = np.mean([np.var(np.take_along_axis(drawn, one, 1).mean(1)) for one in chosen])
    seeds = drawn.mean(0) * 0 + (BLEU.value(translations[0].sum(1)) - BLEU.value(translations[1].sum(1)))
    within = np.mean(((drawn - drawn.mean(1)[:, None]) ** 2).sum(1)) / S**2
    assert both == pytest.approx(np.var(drawn.mean(1)) + within, rel=0.03)
    assert of_resamples(seeds, drawn, N).error ** 2 < both  # which counts the residual three times


def test_draws_are_of_as_many_units_and_always_the_same():
    weights = np.concatenate(list(draws(7, 50, 3)))
    assert weights.shape == (50, 7) and np.all(weights.sum(1) == 7)
    assert np.array_equal(weights, np.concatenate(list(draws(7, 50, 3))))
    assert not np.array_equal(weights, np.concatenate(list(draws(7, 50, 4))))


@pytest.mark.parametrize(("seeds", "low", "high"), [(3, 0.035, 0.065), (5, 0.035, 0.065), (10, 0.035, 0.065)])
def test_level_over_null_data(seeds, low, high):
    """2,000 data sets between whose architectures nothing differs, seeds, units and chance drawn anew."""
    data = make(World(PERPLEXITY, 0.01, 0.05, 100), np.random.default_rng(6), 2000, 2, seeds)
    parts = contributions(PERPLEXITY, data)
    rejected = np.mean([crossed(one[0] - one[1]).p < 0.05 for one in parts])
    assert low < rejected < high


def test_level_of_the_hierarchical_bootstrap():
    data = make(World(PERPLEXITY, 0.01, 0.05, 60), np.random.default_rng(7), 2000, 2, 5)
    rejected = np.mean([hierarchical(PERPLEXITY, *one, resamples=400).p < 0.05 for one in data])
    assert 0.035 < rejected < 0.065
