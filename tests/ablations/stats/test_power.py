import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy
from statsmodels.stats.power import TTestPower

from ablations.stats.power import detectable, seeds_for_equivalence, seeds_to_detect, t_power, tost_power


def test_power_is_statsmodels_s():
    for n in (2, 3, 5, 10, 30):
        for effect in (0.1, 0.5, 1.0):
            assert t_power(effect, n) == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-9)


def test_power_rises_to_one_and_is_a_number_everywhere():
    for n in (2, 3, 5, 10, 40, 1000):
        powers = [t_power(effect / 10, n) for effect in range(0, 400, 3)]
        assert np.all(np.diff(powers) > -1e-9) and powers[0] == pytest.approx(0.05) and powers[-1] > 0.99


@pytest.mark.parametrize("n", [3, 5, 10, 40])  # statsmodels gives no numbers where n = 2 needs them
def test_detectable_is_statsmodels_s(n):
    reference = TTestPower().solve_power(nobs=n, power=0.8, alpha=0.05)
    assert detectable(0.3, n) == pytest.approx(0.3 * reference, rel=1e-6)


def test_the_seeds_asked_for_are_enough_and_one_less_is_not():
    for sd in (0.05, 0.3, 1.0, 4.0):
        n = seeds_to_detect(sd, 0.5)
        assert t_power(0.5 / sd, n) >= 0.8 and (n == 2 or t_power(0.5 / sd, n - 1) < 0.8)
        assert detectable(sd, n) <= 0.5 and (n == 2 or detectable(sd, n - 1) > 0.5)
        n = seeds_for_equivalence(sd, 0.5)
        assert tost_power(0.5 / sd, n) >= 0.8 and (n == 2 or tost_power(0.5 / sd, n - 1) < 0.8)
    assert seeds_to_detect(1.0, -0.5) == seeds_to_detect(1.0, 0.5)


def test_t_power_by_simulation():
    random = np.random.default_rng(0)
    p = scipy.ttest_1samp(random.normal(1.2, 1, (20_000, 6)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(t_power(1.2, 6), abs=0.01)  # 3 standard errors are 0.009


def test_tost_power_by_simulation():
    random = np.random.default_rng(1)
    values = random.normal(0, 1, (20_000, 5))
    within = np.abs(values.mean(1)) + scipy.t.ppf(0.95, 4) * values.std(1, ddof=1) / 5**0.5 < 1.3
    assert np.mean(within) == pytest.approx(tost_power(1.3, 5), abs=0.011)


@pytest.mark.parametrize(("margin", "n"), [(0.4, 3), (1.0, 5), (2.0, 3), (0.5, 40), (0.05, 5)])
def test_tost_power_by_quadrature(margin, n):
    def given(s):
        room = margin * n**0.5 - scipy.t.ppf(0.95, n - 1) * s
        return (2 * scipy.norm.cdf(room) - 1) * scipy.chi.pdf(s * (n - 1) ** 0.5, n - 1) * (n - 1) ** 0.5

    reference = integrate.quad(given, 0, margin * n**0.5 / scipy.t.ppf(0.95, n - 1), epsabs=1e-12)[0]
    assert tost_power(margin, n) == pytest.approx(reference, abs=1e-8)


def test_no_variation_needs_two_pairs_and_too_much_more_than_can_be_asked():
    assert seeds_to_detect(0.0, 0.5) == 2 == seeds_for_equivalence(0.0, 0.5) and detectable(0.0, 3) == 0.0
    assert seeds_to_detect(1000.0, 0.5) is None and seeds_for_equivalence(1000.0, 0.5) is None


def test_refusals():
    with pytest.raises(ValueError, match="difference of 0"):
        seeds_to_detect(1.0, 0.0)
    with pytest.raises(ValueError, match="above 0"):
        seeds_for_equivalence(1.0, 0.0)
    with pytest.raises(ValueError, match="2 or more"):
        detectable(1.0, 1)
    with pytest.raises(ValueError, match="no standard deviation"):
        detectable(float("nan"), 5)
    with pytest.raises(ValueError, match="alpha < power"):
        detectable(1.0, 5, power=0.01)
