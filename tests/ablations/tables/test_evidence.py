"""What a comparison comes to, against a margin, on the scale of its tests."""

import math

import pytest

from ablations import stats
from ablations.tables import Column, rows
from ablations.tables.evidence import margins
from tests.ablations.make import make_record

PERPLEXITY, BLEU = Column("token_perplexity", "docs", "test"), Column("bleu", "flickr", "test")
NOISE = (0.0, 0.01, -0.02, 0.015, 0.005)


def study(effect, task="docs", **margin):
    """Five seeds each; of a language model `effect` is a ratio of perplexities, of a translator a sum in BLEU."""
    changed = {f"study__{key}": value for key, value in margin.items()}
    runs = []
    for seed, noise in enumerate(NOISE):
        base = 40.0 + seed
        other = base * effect * math.exp(noise / 10) if task == "docs" else base + effect + noise
        runs.append(make_record("separate", task, seed, base, **changed))
        runs.append(make_record("shared", task, seed, other, **changed))
    return runs


def evidence(runs, column=PERPLEXITY):
    (row,) = [row for row in rows(runs) if not row.baseline]
    return row.cells[column].evidence


def test_a_perplexity_is_tested_by_its_logarithm_against_the_log_of_the_share():
    found = evidence(study(1.002, margin_perplexity=0.01))
    expected = [math.log(1.002) + noise / 10 for noise in NOISE]
    assert found.difference.mean == pytest.approx(math.fsum(expected) / 5)
    assert found.margin == pytest.approx(math.log(1.01)) and found.verdict == "equivalent"
    by_hand = stats.against_margin(stats.summarize(expected), math.log(1.01), higher=False)
    assert found.raw.equivalent == pytest.approx(by_hand.p_equivalent)
    assert (found.low90, found.high90) == pytest.approx((by_hand.low90, by_hand.high90))


@pytest.mark.parametrize(
    ("effect", "margin", "word"), [(1.05, 0.01, "worse"), (0.95, 0.01, "better"), (1.05, 0.1, "equivalent")]
)
def test_lower_perplexity_is_better(effect, margin, word):
    assert evidence(study(effect, margin_perplexity=margin)).verdict == word


@pytest.mark.parametrize(("effect", "word"), [(-2, "worse"), (2, "better"), (0.1, "equivalent")])
def test_higher_bleu_is_better(effect, word):
    found = evidence(study(effect, "flickr", margin_bleu=0.5), BLEU)
    assert (found.margin, found.verdict) == (0.5, word)


def test_without_a_margin_nothing_is_equivalent():
    found = evidence(study(1.0))
    assert found.margin is found.raw.equivalent is found.seeds_to_detect is None and found.verdict == "inconclusive"
    assert found.detectable == stats.power.detectable(found.difference.sd, 5)


def test_the_true_deviation_lies_between_the_limits_of_chi_square():
    """Limits that any table of chi square gives: 0.4844 and 11.143 with 4 degrees of freedom."""
    found = evidence(study(1.0))
    assert found.deviations == pytest.approx(
        [found.difference.sd * (4 / x) ** 0.5 for x in (11.1433, 0.484419)], rel=1e-5
    )


def test_a_setting_with_a_diverged_run_is_never_equivalent():
    runs = study(1.0, margin_perplexity=0.01)
    assert evidence(runs).verdict == "equivalent"
    lost = make_record("shared", "docs", 5, status="diverged", study__margin_perplexity=0.01)
    assert evidence([*runs, lost]).verdict == "inconclusive"
    infinite = make_record("shared", "docs", 5, study__margin_perplexity=0.01)
    infinite["scores"]["test"]["token_perplexity"] = None
    assert evidence([*runs, infinite]).verdict == "inconclusive", "its loss was beyond what a float holds"


@pytest.mark.parametrize(
    ("effect", "whole", "word"),
    [(1.05, "worse", "inconclusive"), (0.95, "better", "better"), (1.0, "equivalent", "not worse")],
)
def test_a_baseline_with_a_diverged_run_condemns_nothing(effect, whole, word):
    runs = study(effect, margin_perplexity=0.01)
    assert evidence(runs).verdict == whole
    lost = make_record("separate", "docs", 5, status="diverged", study__margin_perplexity=0.01)
    assert evidence([*runs, lost]).verdict == word


def test_all_comparisons_of_a_study_are_one_family():
    alone = evidence(study(1.002, margin_perplexity=0.01))
    more = [
        make_record("k_is_v", seed=seed, score=40.0 + seed + (-1) ** seed, study__margin_perplexity=0.01)
        for seed in range(5)
    ]
    row = next(r for r in rows([*study(1.002, margin_perplexity=0.01), *more]) if r.setting.strategy == "shared")
    among = row.cells[PERPLEXITY].evidence
    assert among.raw == alone.raw and among.adjusted.t == pytest.approx(min(1, 2 * alone.raw.t))
    assert alone.adjusted.equivalent <= among.adjusted.equivalent


def test_a_guest_from_another_study_does_not_choose_the_margin():
    runs = study(1.0, margin_perplexity=0.01)
    guest = make_record("k_is_v", study__name="other", study__margin_perplexity=0.5)
    assert margins([*runs, guest], [PERPLEXITY]) == {PERPLEXITY: 0.01}
    torn = [*runs, make_record("k_is_v", study__margin_perplexity=0.02)]
    assert margins(torn, [PERPLEXITY]) == {PERPLEXITY: None}, "several margins are none"


def test_a_setting_of_which_nothing_is_left_makes_no_other_comparison_easier():
    alone, lost = study(1.01, margin_perplexity=0.01), []
    for seed in range(5):
        lost.append(make_record("k_is_v", seed=seed, status="diverged", study__margin_perplexity=0.01))
    by_itself = rows(alone)[1].cells[PERPLEXITY]
    table = rows([*alone, *lost])
    (gone, cell) = (row.cells[PERPLEXITY] for row in table if not row.baseline)
    assert gone.evidence is gone.comparison is gone.holm is None
    assert cell.holm == 2 * by_itself.holm
    raw, adjusted = cell.evidence.raw, cell.evidence.adjusted
    assert (adjusted.t, adjusted.not_worse) == (2 * raw.t, min(1, 2 * raw.not_worse))


def test_one_pair_stays_in_the_family_too():
    made = [*study(1.01), make_record("k_is_v", seed=0, score=41)]
    (one, cell) = (row.cells[PERPLEXITY] for row in rows(made) if not row.baseline)
    assert one.comparison.p is one.holm is None and cell.holm == 2 * cell.comparison.p
