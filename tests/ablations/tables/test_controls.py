"""Controls are recognised by what models cost."""

from ablations.tables import Column, rows
from ablations.tables.controls import AS_IS, controls
from tests.ablations.make import SITE, make_record

COLUMN = Column("token_perplexity", "docs", "test")
SEEDS = (0, 1, 2)


def runs(strategy, d_ff, parameters, flops, cache, score, label="none", **overrides):
    made = []
    for seed in SEEDS:
        run = make_record(strategy, seed=seed, score=score + seed, model__d_ff=d_ff, match=label, **overrides)
        run["budget"] = {"parameters": parameters, "projection_d2": 1, "flops_per_token": flops}
        run["budget"]["cache_numbers_per_token"] = cache
        made.append(run)
    return made


def wider(**site):
    return {"sites__decoder": {**SITE, "name": "shared", "tie": "qkv", **site}}


BASE = runs("separate", 64, 1000, 3000, 128, 40)
AS = runs("shared", 64, 800, 2500, 64, 45)


def found(*more):
    return controls(rows([*BASE, *AS, *(run for part in more for run in part)]), [COLUMN])


def test_without_another_size_there_is_no_control():
    assert found() == []
    alike = runs("q_is_k", 64, 1000, 3000, 128, 41)  # it costs the same anyhow
    assert found(alike) == []


def test_each_cost_has_its_own_control():
    equal = runs("shared", 80, 1002, 2800, 64, 43), runs("shared", 90, 1100, 3010, 64, 42)
    (one,) = found(*equal)
    assert one.base.setting.strategy == "separate" and one.strategy == "shared"
    sizes = {name: match.row.setting.fields()["model.d_ff"] for name, match in one.matches.items()}
    assert sizes == {AS_IS: "64", "parameters": "80", "FLOPs": "90"}
    assert one.matches[AS_IS].ratio == 0.8 and one.matches["parameters"].ratio == 1.002
    assert one.matches["parameters"].comparison.difference.mean == 3, "against the baseline as it is"


def test_one_setting_may_be_several_controls_and_near_is_not_equal():
    (one,) = found(runs("shared", 80, 1000, 3000, 64, 43))
    assert one.matches["parameters"].row is one.matches["FLOPs"].row is not one.matches[AS_IS].row
    assert "cache" not in one.matches
    assert found(runs("shared", 80, 1006, 3016, 64, 43)) == [], "0.6 % is not equal"


def test_the_cache_is_matched_by_sizes_of_attention_not_by_a_wider_model():
    by_site = runs("shared", 64, 800, 2500, 128, 44, **wider(value_head_dim=16))
    (one,) = found(by_site)
    assert one.matches["cache"].row.runs == sorted(by_site, key=lambda run: run["seed"])
    assert one.matches[AS_IS].row.runs[0]["budget"]["cache_numbers_per_token"] == 64
    assert found(runs("shared", 64, 800, 2500, 128, 44, model__d_model=64)) == []


def test_where_two_settings_would_do_the_one_that_was_made_for_it_counts():
    plain = runs("shared", 80, 1000, 2800, 64, 43)
    asked = runs("shared", 81, 1001, 2800, 64, 42, label="params")
    (one,) = found(plain, asked)
    assert one.matches["parameters"].row.setting.fields()["model.d_ff"] == "81"


def test_a_trained_control_does_not_vanish_behind_a_plain_model_that_is_mostly_vocabulary():
    """As it is the model is within 0.5 % of the baseline's, whose vocabulary is most of both."""
    base, plain = runs("separate", 64, 100_000, 3000, 128, 40), runs("shared", 64, 99_600, 2500, 64, 45)
    asked = runs("shared", 80, 100_010, 2800, 64, 43, label="params")
    (one,) = controls(rows([*base, *plain, *asked]), [COLUMN])
    sizes = {name: match.row.setting.fields()["model.d_ff"] for name, match in one.matches.items()}
    assert sizes == {AS_IS: "64", "parameters": "80"}
    for run in asked:
        run["config"]["match"] = "flops"  # trained once for two controls, under the name of the other
    (one,) = controls(rows([*base, *plain, *asked]), [COLUMN])
    assert one.matches["parameters"].row.setting.fields()["model.d_ff"] == "80", "it is nearer"


def test_another_learning_rate_is_another_comparison():
    others = [
        runs("shared", 80, 1000, 3000, 64, 43, optim__lr=0.5),
        runs("separate", 64, 1000, 3000, 128, 40, optim__lr=0.5),
    ]
    (one,) = found(*others)
    assert "optim.lr=0.5" in one.base.setting.rest and AS_IS not in one.matches
