"""The rule, on numbers that can be checked by hand.

Differences 1, 2, 3 have mean 2, deviation 1, and the 95 % interval 2 -+ 4.3027 / sqrt(3): -0.4841 to 4.4841.
"""

import json

import pytest

from ablations.claims import effects, schema
from ablations.claims.schema import Region
from ablations.claims.verdict import combine, decide, of_findings
from ablations.exact.findings import Finding, Outcome
from tests.ablations.claims.cases import MEASURED, conf, keep, load, pair, trained
from tests.ablations.make import make_record


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ({"above": -0.49}, "supported"),
        ({"above": -0.48}, "undecided"),
        ({"above": 4.48}, "undecided"),
        ({"above": 4.49}, "refuted"),
        ({"below": 4.49}, "supported"),
        ({"below": 4.48}, "undecided"),
        ({"below": -0.49}, "refuted"),
        ({"above": -0.49, "below": 4.49}, "supported"),
        ({"above": -0.48, "below": 4.49}, "undecided"),
        ({"above": 1.9, "below": 2.1}, "undecided"),
        ({"above": 4.49, "below": 9}, "refuted"),
        ({"above": -9, "below": -0.49}, "refuted"),
    ],
)
def test_supported_wholly_inside_refuted_wholly_outside_else_undecided(tmp_path, region, expected):
    claim = load(tmp_path, trained(region=region))
    keep(tmp_path, claim, *pair(0, 31, 30), *pair(1, 42, 40), *pair(2, 53, 50))
    found = decide(claim, tmp_path)
    summary = found.decisions[0].effect.summary
    assert (summary.mean, summary.n) == (pytest.approx(2), 3)
    assert (summary.low, summary.high) == (pytest.approx(-0.4841, abs=1e-4), pytest.approx(4.4841, abs=1e-4))
    assert found.verdict == expected


def test_a_region_is_open_at_its_ends():
    assert Region(0.0, None).verdict(0.0, 1.0) == "undecided"
    assert Region(0.0, None).verdict(-1.0, 0.0) == "refuted"
    assert Region(None, 0.0).verdict(0.0, 0.0) == "refuted"


def test_pairs_share_a_seed_and_not_an_order(tmp_path):
    """Differences are 1 and 1 only if seeds meet; by position in a list they would be 11 and -9."""
    claim = load(tmp_path, trained())
    shared = [make_record("shared", seed=7, score=41), make_record("shared", seed=3, score=31)]
    separate = [make_record("separate", seed=3, score=30), make_record("separate", seed=7, score=40)]
    keep(tmp_path, claim, *shared, *separate)
    effect = decide(claim, tmp_path).decisions[0].effect
    assert effect.pairs == {3: 1, 7: 1}


def test_a_difference_of_differences_takes_all_four_runs_of_a_seed(tmp_path):
    """(33 - 30) - (41 - 40) = 2 for seed 0; seed 1, (35 - 30) - (41 - 40) = 4; seed 2 lacks a run."""
    weights = ((1, "shared", "none"), (-1, "separate", "none"), (-1, "shared", "rotary"), (1, "separate", "rotary"))
    terms = [{"weight": w, "where": {"strategy": s, "position.kind": kind}} for w, s, kind in weights]
    claim = load(tmp_path, trained(terms=terms))
    runs = []
    for seed, shared in ((0, 33), (1, 35), (2, 90)):
        runs += pair(seed, shared, 30, position__kind="none") + pair(seed, 41, 40, position__kind="rotary")
    keep(tmp_path, claim, *runs[:-1])
    effect = decide(claim, tmp_path).decisions[0].effect
    assert effect.pairs == {0: 2, 1: 4}
    assert effect.counts == [3, 3, 3, 2]
    assert any("seed 2: no partner" in sentence for sentence in effect.left_out)


def test_a_width_that_the_model_implies_is_found(tmp_path):
    """The run of four heads of width 8 in a model of width 32 may be asked for by that width."""
    terms = [{"weight": 1, "where": {"strategy": "shared", "model.head_dim": 8}}]
    claim = load(tmp_path, trained(terms=terms))
    keep(tmp_path, claim, *pair(0, 31, 30), *pair(1, 32, 30))
    assert effects.of_runs(claim.parts[0], claim.id, claim.rule, tmp_path).pairs == {0: 31, 1: 32}


def test_a_site_may_be_named(tmp_path):
    terms = [{"weight": 1, "where": {"cross": "k_is_v", "decoder": "separate"}}]
    claim = load(tmp_path, trained(terms=terms, metric="bleu"))
    cross = make_record("separate", "flickr", score=20, sites__cross={**make_site("k_is_v")})
    both = make_record("k_is_v", "flickr", score=30)
    keep(tmp_path, claim, cross, both)
    assert decide(claim, tmp_path).decisions[0].effect.pairs == {0: 20}


def test_missing_runs_leave_a_claim_undecided_and_say_what_makes_them(tmp_path):
    claim = load(tmp_path, trained())
    found = decide(claim, tmp_path)
    assert found.verdict == "undecided" and "python train.py study=demo" in found.missing[0]
    keep(tmp_path, claim, *pair(0, 31, 30))
    found = decide(claim, tmp_path)
    assert found.verdict == "undecided" and "more seeds" in found.missing[0]


def test_one_side_alone_is_missing_runs(tmp_path):
    claim = load(tmp_path, trained())
    keep(tmp_path, claim, *(make_record("shared", seed=seed) for seed in range(3)))
    found = decide(claim, tmp_path)
    assert found.verdict == "undecided"
    assert any("no run of study demo is separate" in s for s in found.decisions[0].effect.left_out)


def test_diverged_runs_are_told_and_failed_ones_are_none(tmp_path):
    claim = load(tmp_path, trained())
    diverged = make_record("shared", seed=2, status="diverged")
    failed = make_record("shared", seed=3, status="failed")
    keep(tmp_path, claim, *pair(0, 31, 30), *pair(1, 42, 40), diverged, failed, make_record("separate", seed=2))
    effect = decide(claim, tmp_path).decisions[0].effect
    assert sorted(effect.pairs) == [0, 1]
    assert any("seed 2: diverged" in s for s in effect.left_out)
    counted = load(tmp_path, trained(metric="diverged"))
    keep(tmp_path, counted, *pair(0, 31, 30), *pair(1, 42, 40), diverged, make_record("separate", seed=2))
    assert decide(counted, tmp_path).decisions[0].effect.pairs == {0: 0, 1: 0, 2: 1}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "undecided"),
        (["supported", "supported"], "supported"),
        (["refuted", "refuted"], "refuted"),
        (["supported", "refuted"], "partly"),
        (["supported", "refuted", "undecided"], "partly"),
        (["supported", "undecided"], "undecided"),
        (["refuted", "undecided"], "undecided"),
        (["partly", "undecided"], "partly"),
        (["partly", "supported"], "partly"),
    ],
)
def test_parts_make_a_claim(verdicts, expected):
    assert combine(verdicts) == combine(reversed(verdicts)) == expected


def test_findings_make_an_exact_part_and_remarks_do_not_count():
    yes, no = Finding("a", True), Finding("b", False)
    remark = Finding("c", False, remark=True)
    assert of_findings(Outcome([yes, remark])) == "supported"
    assert of_findings(Outcome([no, remark])) == "refuted"
    assert of_findings(Outcome([yes, no])) == "partly"
    assert of_findings(Outcome([remark])) == "undecided"


def test_an_illustration_is_shown_and_does_not_count(tmp_path):
    storage = {"kind": "exact", "check": "one_matrix_or_many"}
    assert decide(load(tmp_path / "a", storage), tmp_path).verdict == "supported"
    shown = decide(load(tmp_path / "b", storage, illustration="symmetry"), tmp_path)
    assert shown.verdict == "supported" and shown.illustration.pictures, "what is shown beside does not count"


def test_measurements_are_paired_sample_by_sample(tmp_path):
    claim = load(tmp_path, MEASURED)
    found = decide(claim, tmp_path)
    assert found.verdict == "undecided" and MEASURED["command"] in found.missing[0]
    measure(tmp_path, {"fused": [1.0, 2.0, 3.0], "per head": [1.1, 2.1, 3.1]})
    found = decide(claim, tmp_path)
    assert found.verdict == "supported", "the samples differ, their differences do not"
    assert found.decisions[0].effect.summary.mean == pytest.approx(-0.1)


def test_the_logarithm_makes_a_ratio(tmp_path):
    claim = load(tmp_path, {**MEASURED, "log": True, "region": {"above": -0.7, "below": -0.6}})
    measure(tmp_path, {"fused": [1.0, 5.0], "per head": [2.0, 10.0]})
    found = decide(claim, tmp_path)
    assert found.verdict == "supported" and found.decisions[0].effect.summary.mean == pytest.approx(-0.6931, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "words"),
    [({"fused": [1.0]}, "has no 'per head'"), ({"fused": [1.0, 2.0], "per head": [1.0]}, "not paired")],
)
def test_measurements_that_do_not_fit_are_refused(tmp_path, samples, words):
    claim = load(tmp_path, MEASURED)
    measure(tmp_path, samples)
    with pytest.raises(ValueError, match=words):
        decide(claim, tmp_path)


def test_two_runs_of_one_seed_are_refused_by_name(tmp_path):
    claim = load(tmp_path, trained())
    twins = [make_record("shared", seed=0, optim__lr=lr) for lr in (0.001, 0.002)]
    keep(tmp_path, claim, *twins, make_record("separate"))
    with pytest.raises(ValueError, match="two runs of seed 0 answer to shared") as refusal:
        decide(claim, tmp_path)
    assert all(twin["signature"] in str(refusal.value) for twin in twins)
    sorted_out = trained(terms=[{"weight": 1, "where": {"strategy": "shared", "optim.lr": 0.002}}])
    claim = load(tmp_path, sorted_out)
    keep(tmp_path, claim, *twins)
    assert decide(claim, tmp_path).decisions[0].effect.counts == [1]


def test_a_rule_that_came_after_its_runs_is_refused(tmp_path):
    """The margin that a result suggests is no test of that result."""
    claim = load(tmp_path, trained())
    keep(tmp_path, claim, *pair(0, 31, 30), *pair(1, 31, 30))
    softened = load(tmp_path, trained(margin={"value": 2, "unit": "perplexity"}))
    with pytest.raises(ValueError, match=f"C90: its rule, now {softened.rule}.*under rule {claim.rule}.*study of its"):
        decide(softened, tmp_path)
    assert decide(load(tmp_path, trained()), tmp_path).verdict == "supported", "the rule restored"


def test_runs_made_before_there_was_a_rule_are_refused(tmp_path):
    claim = load(tmp_path, trained())
    keep(tmp_path, claim, *pair(0, 31, 30))
    old = make_record("separate", seed=1) | {"finished": "2026-11-20T08:00:00+00:00"}
    schema_less = [old, make_record("shared", seed=1)]
    for run in schema_less:
        effects.records.write(run, tmp_path)
    with pytest.raises(ValueError, match="of 2026-11-20.*knows no rule of it"):
        decide(claim, tmp_path)


def test_runs_of_other_studies_and_settings_are_none_of_the_claims_business(tmp_path):
    claim = load(tmp_path, trained())
    keep(tmp_path, claim, *pair(0, 31, 30), *pair(1, 32, 30))
    effects.records.write(make_record("shared", seed=0, study="other", optim__lr=0.5), tmp_path)
    effects.records.write(make_record("k_is_v", seed=0), tmp_path)
    assert decide(claim, tmp_path).decisions[0].effect.pairs == {0: 1, 1: 2}


def make_site(name):
    from tests.ablations.make import SITE, TIE

    return {**SITE, "name": name, "tie": TIE[name]}


def measure(results, samples):
    (results / "measurements").mkdir(exist_ok=True)
    (results / "measurements" / "storage.json").write_text(json.dumps({"name": "storage", "samples": samples}))


def test_known_rules_are_those_that_verdicts_ask_for(tmp_path):
    made = conf(tmp_path / "conf", trained())
    [file] = schema.files(made)
    assert schema.known_rules(made) == {"C90": schema.load(file, made).rule}


def planned(folder, seeds="0,1,2", steps=100):
    """A claim whose study plans so many seeds of so many steps, as the records of these tests have."""
    made = conf(folder / "conf", trained())
    study = f"trainer: {{steps: {steps}}}\nhydra: {{sweeper: {{params: {{seed: '{seeds}'}}}}}}\n"
    (made / "study" / "demo.yaml").write_text(study)
    return schema.load(schema.files(made)[0], made)


def test_a_planned_seed_that_is_not_on_record_leaves_a_claim_undecided(tmp_path):
    """Else whoever deletes the unwelcome run gets the verdict of the others."""
    claim = planned(tmp_path)
    runs = [run for seed in (0, 1, 2) for run in pair(seed, 31 + seed / 10, 30)]
    keep(tmp_path / "all", claim, *runs)
    assert decide(claim, tmp_path / "all").verdict == "supported"
    keep(tmp_path / "less", claim, *runs[:-1])
    found = decide(claim, tmp_path / "less")
    assert (
        found.verdict == "undecided" and "runs of seed 2 are missing: `python train.py study=demo" in found.missing[0]
    )
    more = planned(tmp_path / "more", seeds="0,1")
    keep(tmp_path / "more", more, *runs)
    assert decide(more, tmp_path / "more").verdict == "supported", "more than planned is welcome"


def test_a_run_that_is_shorter_than_its_study_is_no_evidence(tmp_path):
    claim = planned(tmp_path, steps=600)
    keep(tmp_path, claim, *pair(0, 31, 30))
    with pytest.raises(ValueError, match="has 100 steps and study demo 600: take it out of the study's folder"):
        decide(claim, tmp_path)
