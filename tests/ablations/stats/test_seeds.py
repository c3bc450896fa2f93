import itertools
import math
import statistics

import numpy as np
import pytest
from scipy import stats as scipy

from ablations.stats import EXACT, Summary, adjusted, compare, deviation, holm, quantile, sign_flip, summarize, t_test
from ablations.stats.seeds import correlation


def test_summary_by_hand():
    summary = summarize([27.0, 28.0, 30.0])
    assert summary.mean == pytest.approx(85 / 3) and summary.n == 3
    assert summary.sd == pytest.approx((7 / 3) ** 0.5)  # squares 16/9 + 1/9 + 25/9 over n - 1 = 2
    half = 4.302653 * summary.sd / 3**0.5  # t of 97.5 % with 2 degrees of freedom, from a printed table
    assert (summary.low, summary.high) == pytest.approx((summary.mean - half, summary.mean + half), rel=1e-6)


def test_summary_equals_scipy():
    values = np.random.default_rng(0).normal(30, 2, size=7).tolist()
    summary = summarize(values)
    assert (summary.low, summary.high) == pytest.approx(scipy.ttest_1samp(values, 0).confidence_interval(0.95))


def test_one_seed_has_no_deviation_and_no_test():
    assert summarize([3.0]).sd is None and summarize([3.0]).low is None
    one = compare({0: 3.0}, {0: 4.0, 1: 9.0})
    assert one.difference.mean == -1.0 and one.p is None


def test_pairs_are_seeds_and_not_positions():
    comparison = compare({2: 12.0, 0: 10.0, 7: 99.0}, {0: 9.0, 1: 50.0, 2: 10.0})
    assert comparison.difference.n == 2 and comparison.difference.mean == 1.5  # seeds 0 and 2
    assert compare({0: 1.0}, {1: 1.0}) is None


def test_pairing_removes_what_both_share():
    # Seeds far apart, but each time the same difference: the paired interval is that narrow.
    comparison = compare({0: 11.0, 1: 21.0, 2: 31.1}, {0: 10.0, 1: 20.0, 2: 30.0})
    reference = scipy.ttest_rel([11.0, 21.0, 31.1], [10.0, 20.0, 30.0]).confidence_interval(0.95)
    assert (comparison.difference.low, comparison.difference.high) == pytest.approx(reference)
    assert comparison.difference.low > 0.5


def test_sign_flip_by_hand():
    # 8 sign patterns of 1, 2, 4 give 8 different sums; only the observed 7 and its mirror reach 7.
    assert sign_flip([1.0, 2.0, 4.0]) == (0.25, 0.25)
    # -1, 2, 4 sum to 5: at least as far are 7, 5, -5, -7.
    assert sign_flip([-1.0, 2.0, 4.0]) == (0.5, 0.25)


def test_sign_flip_equals_scipy():
    differences = np.random.default_rng(1).normal(0.5, 1, size=8)
    reference = scipy.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(differences.tolist())[0] == pytest.approx(reference.pvalue)


@pytest.mark.parametrize(("n", "floor"), [(5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_the_floor_is_reached_and_never_passed(n, floor):
    assert sign_flip([0.1 * i + 1 for i in range(n)]) == (floor, floor)
    signs = itertools.product([-1.0, 1.0], repeat=5)
    assert (
        min(sign_flip([s * x for s, x in zip(sign, (1.0, 2.0, 3.0, 5.0, 8.0), strict=True)])[0] for sign in signs)
        == 0.0625
    )


def test_equal_sums_count_whatever_the_order_of_addition():
    # Of 16 patterns of four tenths 10 sum to 0.2 or 0.4; in floating point 0.1 + 0.1 + 0.1 - 0.1 exceeds most 0.2s.
    assert sign_flip([0.1, 0.1, 0.1, -0.1])[0] == 10 / 16
    assert sign_flip([0.0, 0.0])[0] == 1.0


def test_twenty_six_pairs_are_still_counted():
    # Of sizes that sum to 50 the observed signs give 48: at least as far are all ways to take the sign of none or one
    # of the 25 small ones away, 26, and their mirrors.
    assert sign_flip([25.0, -1.0, *[1.0] * 24]) == (2 * 26 / 2**26, 2.0**-25)


def test_beyond_what_can_be_counted_ways_are_sampled():
    random = np.random.default_rng(4)
    differences = random.normal(0.3, 1, size=EXACT + 10).tolist()
    p, floor = sign_flip(differences)
    assert (p, floor) == sign_flip(differences) and floor == 2e-5
    signs = random.integers(0, 2, (20_000, len(differences))) * 2.0 - 1
    assert p == pytest.approx(np.mean(np.abs(signs @ differences) >= abs(sum(differences))), abs=0.015)  # 4 errors
    assert sign_flip([1.0] * (EXACT + 1))[0] == floor


def test_t_test_is_scipy_s():
    random = np.random.default_rng(5)
    for n in (2, 3, 7, 30):
        one, other = random.normal(30, 1, n), random.normal(29.5, 1, n)
        summary = summarize((one - other).tolist())
        assert t_test(summary) == pytest.approx(scipy.ttest_rel(one, other).pvalue, rel=1e-9)
    assert t_test(summarize([1.0])) is None
    assert t_test(summarize([1.0, 1.0])) == 0.0 and t_test(Summary(0.0, 0.0, 3, 0.0, 0.0)) == 1.0


def test_t_test_and_interval_say_the_same():
    random = np.random.default_rng(6)
    for _ in range(200):
        summary = summarize(random.normal(0.7, 1, 5).tolist())
        assert (t_test(summary) < 0.05) == (summary.low > 0 or summary.high < 0)


def test_correlation_is_of_equal_seeds():
    random = np.random.default_rng(7)
    one, other = random.normal(0, 1, 6), random.normal(0, 1, 6)
    comparison = compare(dict(enumerate(one)), dict(zip(range(5, -1, -1), other[::-1], strict=True)))
    assert comparison.correlation == pytest.approx(scipy.pearsonr(one, other).statistic, abs=1e-12)
    huge = compare(dict(enumerate(one * 1e200)), dict(enumerate(other * 1e-200)))
    assert huge.correlation == pytest.approx(comparison.correlation)
    assert compare({0: 1.0, 1: 2.0}, {0: 1.0, 1: 3.0}).correlation is None
    assert compare({0: 1.0, 1: 1.0, 2: 1.0}, {0: 1.0, 1: 3.0, 2: 5.0}).correlation is None


def test_holm_is_statsmodels_s():
    from statsmodels.stats.multitest import multipletests

    random = np.random.default_rng(8)
    for n in (1, 2, 5, 40):
        ps = random.uniform(0, 1, n) ** 3
        ps[: n // 3] = ps[0]  # ties
        assert holm(ps.tolist()) == pytest.approx(multipletests(ps, method="holm")[1], rel=1e-12)


def test_holm_by_hand():
    # Sorted .01 x 4, .02 x 3, .03 x 2, .04 x 1 = .04 .06 .06 .04, then never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_deviation_is_the_standard_library_s_to_the_last_bit():
    random = np.random.default_rng(2)
    for case in range(2000):
        values = random.normal(random.choice([0.0, 30.0, 1e9]), 1, size=random.integers(2, 25)).tolist()
        if case % 3 == 0:
            values = [round(value, 1) for value in values]
        if case % 5 == 0:
            values = [value * 1e-150 for value in values[:-1]] + [0.0]
        assert deviation(values) == statistics.stdev(values)
    assert deviation([3, 3, 3]) == 0.0 and deviation([1, 2]) == statistics.stdev([1, 2])


def test_quantiles_are_scipy_s():
    asked = [quantile(degrees) for degrees in range(1, 30)]  # some from the table, the others from SciPy itself
    assert asked == pytest.approx(scipy.t.ppf(0.975, np.arange(1, 30)), rel=1e-14)


def test_sign_flip_equals_a_count_of_all_sums():
    random = np.random.default_rng(3)
    for case in range(300):
        differences = random.normal(random.choice([0.0, 0.3, 2.0]), 1, size=random.integers(1, 11)).tolist()
        if case % 3 == 0:
            differences = [round(difference, 1) for difference in differences]  # with ties
        sums = np.array(list(itertools.product([-1.0, 1.0], repeat=len(differences)))) @ differences
        assert sign_flip(differences)[0] == np.mean(np.abs(sums) >= abs(sum(differences)) - 1e-9)


def test_tests_on_another_scale_leave_the_difference_as_it_is():
    """Raw differences are 2, -5 and -10, of which 4 of 8 choices of signs are as far from 0; of logarithms all are."""
    setting, baseline = dict(enumerate((12.0, 95.0, 990.0))), dict(enumerate((10.0, 100.0, 1000.0)))
    raw, logs = compare(setting, baseline), compare(setting, baseline, scale=math.log)
    assert raw.difference == logs.difference and raw.difference.mean == pytest.approx(-13 / 3)
    expected = [math.log(setting[seed] / baseline[seed]) for seed in range(3)]
    assert (raw.p, logs.p) == (0.5, 1.0) and sign_flip(expected)[0] == 1.0
    assert logs.correlation == pytest.approx(
        correlation(*([math.log(value) for value in side.values()] for side in (setting, baseline)))
    )


def test_holm_by_name_counts_what_could_not_be_tested():
    counted = adjusted({"a": 0.01, "b": None, "c": 0.02})
    assert counted == {"a": 0.03, "b": None, "c": 0.04}
    assert adjusted({"a": None}) == {"a": None} and adjusted({}) == {}
