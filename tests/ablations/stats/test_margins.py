import numpy as np
import pytest
from scipy import stats as scipy
from statsmodels.stats.weightstats import ttost_paired

from ablations.stats import against_margin, summarize, t_test, verdict
from ablations.stats.margins import of_error


def test_tost_is_statsmodels_s():
    random = np.random.default_rng(0)
    for n in (2, 3, 5, 20):
        one, other = random.normal(30, 0.3, n), random.normal(30, 0.3, n)
        found = against_margin(summarize((one - other).tolist()), 0.5, higher=True)
        p, lower, upper = ttost_paired(one, other, -0.5, 0.5)
        assert found.p_equivalent == pytest.approx(p, rel=1e-9)
        assert found.p_not_worse == pytest.approx(lower[1], rel=1e-9)
        worse = against_margin(summarize((one - other).tolist()), 0.5, higher=False)
        assert worse.p_equivalent == found.p_equivalent and worse.p_not_worse == pytest.approx(upper[1], rel=1e-9)


def test_equivalent_if_and_only_if_the_90_percent_interval_lies_within():
    random = np.random.default_rng(1)
    for _ in range(300):
        found = against_margin(summarize(random.normal(0.2, 0.5, 5).tolist()), 0.6, higher=True)
        assert (found.p_equivalent < 0.05) == (found.low90 > -0.6 and found.high90 < 0.6)
        assert (found.p_not_worse < 0.05) == (found.low90 > -0.6)


def test_ninety_percent_interval_is_scipy_s():
    values = np.random.default_rng(2).normal(0, 1, 6)
    found = against_margin(summarize(values.tolist()), 1.0, higher=True)
    assert (found.low90, found.high90) == pytest.approx(scipy.ttest_1samp(values, 0).confidence_interval(0.9))


def test_equal_differences_leave_no_doubt():
    assert against_margin(summarize([0.1, 0.1]), 0.5, higher=True).p_equivalent == 0.0
    assert against_margin(summarize([0.7, 0.7]), 0.5, higher=True).p_equivalent == 1.0
    assert against_margin(summarize([0.7, 0.7]), 0.5, higher=True).p_not_worse == 0.0
    assert against_margin(summarize([-0.5, -0.5]), 0.5, higher=True).p_not_worse == 0.5  # exactly on the margin


def test_one_pair_and_no_margin():
    assert against_margin(summarize([0.1]), 0.5, higher=True) is None
    with pytest.raises(ValueError, match="above 0"):
        against_margin(summarize([0.1, 0.2]), 0.0, higher=True)


def test_an_error_with_broken_degrees_is_allowed():
    low, high = (of_error(0.1, 0.2, degrees, 0.5, True).p_equivalent for degrees in (3.0, 4.0))
    assert high < of_error(0.1, 0.2, 3.5, 0.5, True).p_equivalent < low


def words(mean, higher=True, **given):
    return verdict(summarize([mean - 0.1, mean + 0.1]), higher, **given)


def test_the_order_of_verdicts():
    assert words(0.3, p=0.01, p_equivalent=0.01, p_not_worse=0.01) == "equivalent"
    assert words(-0.3, p=0.01, p_equivalent=0.2, p_not_worse=0.01) == "worse"
    assert words(0.3, p=0.01, p_equivalent=0.2, p_not_worse=0.01) == "better"
    assert words(0.3, higher=False, p=0.01, p_equivalent=0.2) == "worse"
    assert words(0.3, p=0.2, p_equivalent=0.2, p_not_worse=0.01) == "not worse"
    assert words(0.3, p=0.2, p_equivalent=0.2, p_not_worse=0.2) == "inconclusive"
    assert words(0.3, p=None) == "inconclusive"


def test_a_setting_with_diverged_runs_is_never_praised():
    for p, p_equivalent, p_not_worse in [(0.01, 0.2, 0.01), (0.2, 0.01, 0.01), (0.2, 0.2, 0.01), (0.01, 0.01, 0.01)]:
        given = {"p": p, "p_equivalent": p_equivalent, "p_not_worse": p_not_worse, "diverged": 1}
        assert words(0.3, **given) == "inconclusive"
    assert words(-0.3, p=0.01, p_equivalent=0.01, p_not_worse=0.01, diverged=1) == "worse"
    assert words(-0.3, p=0.01, p_equivalent=0.2, diverged=1) == "worse"


def test_a_baseline_with_diverged_runs_is_a_selection_in_its_own_favour():
    lost = {"baseline_diverged": 1}
    assert words(0.3, p=0.01, p_equivalent=0.2, p_not_worse=0.01, **lost) == "better"
    assert words(0.3, p=0.2, p_equivalent=0.2, p_not_worse=0.01, **lost) == "not worse"
    assert words(-0.3, p=0.01, p_equivalent=0.2, p_not_worse=0.2, **lost) == "inconclusive"
    assert words(-0.3, p=0.2, p_equivalent=0.01, p_not_worse=0.01, **lost) == "not worse", "and not equivalent"
    assert words(0.3, p=0.01, p_equivalent=0.01, p_not_worse=0.01, **lost) == "better"
    assert words(0.3, p=0.2, p_equivalent=0.01, **lost) == "inconclusive"
    for mean in (-0.3, 0.3):
        assert words(mean, p=0.01, p_equivalent=0.01, p_not_worse=0.01, diverged=1, **lost) == "inconclusive"


def test_no_true_difference_is_misjudged_more_often_than_five_percent():
    """The three tests share one chance of error, as the verdict's docstring promises."""
    random, repeats, n = np.random.default_rng(3), 2000, 5
    for truth, wrong in [(0.0, {"better", "worse"}), (-1.0, {"equivalent", "not worse"}), (1.0, {"equivalent"})]:
        errors = 0
        for row in random.normal(truth, 0.8, (repeats, n)):
            summary = summarize(row.tolist())
            margin = against_margin(summary, 1.0, higher=True)
            found = verdict(summary, True, t_test(summary), margin.p_equivalent, margin.p_not_worse)
            errors += found in wrong
        assert errors / repeats < 0.065
