import copy
import math
import statistics

import pytest

from ablations.tables import Column, Setting, headline_columns, rows
from ablations.tables.baseline import without_baseline
from ablations.writers import headline_grid
from tests.ablations.make import SITE, make_record

PERPLEXITY, BLEU = Column("token_perplexity", "docs", "test"), Column("bleu", "flickr", "test")


def study(seeds=3):
    """Separate and shared on both tasks: shared has 2 BLEU less and 5 perplexity more, give or take a bit."""
    runs = []
    for seed in range(seeds):
        runs += [make_record("separate", "flickr", seed, 30 + seed), make_record("shared", "flickr", seed, 28 + seed)]
        runs += [make_record("separate", "docs", seed, 40.0), make_record("shared", "docs", seed, 45 + 0.1 * seed)]
    return runs


def by_name(runs, **options):
    return {str(row.setting): row for row in rows(runs, **options)}


def test_one_row_per_setting_with_the_tasks_side_by_side():
    baseline, shared = rows(study())
    assert (str(baseline.setting), str(shared.setting)) == ("separate", "shared")
    assert baseline.baseline and not shared.baseline
    cell = shared.cells[BLEU]
    assert cell.scores == {0: 28, 1: 29, 2: 30} and (cell.summary.mean, cell.summary.sd, cell.summary.n) == (29, 1, 3)
    assert shared.cells[PERPLEXITY].summary.mean == pytest.approx(45.1)
    assert shared.projection_d2 == {"docs": 1.0, "flickr": 1.0} and baseline.projection_d2["docs"] == 3.0
    assert shared.parameters == {"docs": 50_000, "flickr": 100_000}


def test_the_headline_is_bleu_then_perplexity_of_language_models():
    assert headline_columns(study()) == [BLEU, PERPLEXITY]
    translators = [run for run in study() if run["kind"] == "translation"]
    assert headline_columns(translators) == [BLEU, Column("token_perplexity", "flickr", "test")]


def test_accuracy_stands_between_bleu_and_perplexity():
    """Classifiers have no perplexity, and translators need not show theirs beside other tasks."""
    accuracy = Column("accuracy", "opinions", "test")
    opinions = [make_record(name, "opinions", seed, 80 + seed) for name in ("separate", "shared") for seed in (0, 1)]
    assert headline_columns([*opinions, *study()]) == [BLEU, accuracy, PERPLEXITY]
    assert headline_columns(opinions) == [accuracy]
    translators = [run for run in study() if run["kind"] == "translation"]
    assert headline_columns([*translators, *opinions]) == [BLEU, accuracy]
    table = by_name([*opinions, *study()])
    assert table["shared"].cells[accuracy].summary.mean == 80.5
    assert table["shared"].cells[accuracy].comparison.difference.mean == 0
    assert list(table["shared"].cells).index(accuracy) < list(table["shared"].cells).index(PERPLEXITY)
    assert {column.score for column in table["shared"].cells if column.task == "opinions"} == {"accuracy"}


def test_the_headline_split_is_the_first_of_the_config_or_validation():
    assert headline_columns([make_record(task__test=["test_2017", "test_2016"])])[0].split == "test_2017"
    assert headline_columns([make_record(task__test=[])])[0].split == "valid"


def test_differences_are_paired_and_in_one_family():
    baseline, shared = rows(study())
    bleu, perplexity = shared.cells[BLEU], shared.cells[PERPLEXITY]
    assert bleu.comparison.difference.mean == -2 and bleu.comparison.difference.sd == 0
    assert perplexity.comparison.difference.mean == pytest.approx(5.1)
    assert bleu.comparison.p == bleu.comparison.floor == 0.25
    assert bleu.holm == 0.5  # two comparisons in the family
    assert all(cell.comparison is None for cell in baseline.cells.values())
    assert shared.cells[Column("bleu", "flickr", "valid")].comparison is None  # only the headline is tested


def test_perplexities_are_tested_by_logarithms_in_every_column():
    """Raw differences are 2, -5 and -10; of logarithms the sum has the other sign."""
    scores = {"separate": (10.0, 100.0, 1000.0), "shared": (12.0, 95.0, 990.0)}
    runs = [make_record(name, seed=seed, score=score) for name in scores for seed, score in enumerate(scores[name])]
    found = rows(runs)[1].cells[PERPLEXITY].comparison
    assert found.difference.mean == pytest.approx(-13 / 3), "to be looked at"
    assert found.p == 1.0, "of 8 choices of signs none is nearer to 0 than the logarithms as they are"
    logs = [[math.log(score) for score in scores[name]] for name in scores]
    assert found.correlation == pytest.approx(statistics.correlation(*logs))


def test_seeds_that_only_one_side_has_do_not_pair():
    runs = [run for run in study() if (run["strategy"], run["seed"]) != ("separate", 0)]
    assert rows(runs)[1].cells[BLEU].comparison.difference.n == 2


def test_diverged_and_failed_runs_are_counted_and_not_averaged():
    runs = study() + [
        make_record("shared", "docs", 3, status="diverged"),
        make_record("shared", "docs", 4, status="failed"),
        make_record("q_is_k", "docs", 0, status="diverged"),
    ]
    runs[-3]["scores"] = make_record("shared", "docs", 3, score=1e6)["scores"]  # of the last weights before it diverged
    table = by_name(runs)
    assert table["shared"].cells[PERPLEXITY].missing == {"diverged": 1, "failed": 1}
    assert table["shared"].cells[PERPLEXITY].summary.n == 3
    assert table["q_is_k"].cells[PERPLEXITY].summary is None and BLEU not in table["q_is_k"].cells


def test_a_finished_run_with_a_score_out_of_range_is_counted_too():
    run = make_record("shared", "docs", 3)
    run["scores"]["test"]["token_perplexity"] = None  # exp overflowed; null in JSON
    assert by_name([*study(), run])["shared"].cells[PERPLEXITY].missing == {"no score": 1}


def test_what_else_differs_becomes_part_of_the_setting():
    runs = [
        make_record(name, seed=seed, optim__lr=lr)
        for name in ("separate", "shared")
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]
    table = rows(runs)
    assert [row.setting for row in table] == [
        Setting(name, (f"optim.lr={lr}",)) for name in ("separate", "shared") for lr in (0.1, 0.2)
    ]
    assert all(row.cells[PERPLEXITY].comparison for row in table if not row.baseline)  # each with its own rate


def test_a_matched_variant_is_compared_with_the_only_baseline():
    runs = [make_record("separate", seed=s) for s in (0, 1)] + [
        make_record("shared", seed=s, model__d_ff=80) for s in (0, 1)
    ]
    table = by_name(runs)
    assert set(table) == {"separate, model.d_ff=64", "shared, model.d_ff=80"}
    assert table["shared, model.d_ff=80"].cells[PERPLEXITY].comparison.difference.n == 2


def test_one_strategy_name_with_two_meanings_is_two_rows():
    few = {**SITE, "kv_heads": 2}
    everywhere = {f"sites__{site}": few for site in ("encoder", "decoder", "cross")}
    runs = [make_record("separate", "flickr"), make_record("separate", "flickr", **everywhere)]
    assert set(by_name(runs)) == {"separate, kv_heads=4", "separate, kv_heads=2"}
    runs[1] = make_record("separate", "flickr", sites__cross=few)
    assert set(by_name(runs)) == {"separate, cross.kv_heads=4", "separate, cross.kv_heads=2"}


def test_strategies_do_not_spell_out_what_their_name_says():
    shared_cross = make_record("separate", "flickr", sites__cross={**SITE, "name": "shared", "tie": "qkv"})
    assert set(by_name([*study(), shared_cross])) == {"separate", "shared", "separate, cross=shared"}


def test_a_run_of_two_studies_counts_once():
    run = make_record()
    assert rows([run, {**run, "study": "second"}])[0].cells[PERPLEXITY].summary.n == 1


def test_two_runs_that_nothing_tells_apart_are_refused_by_name():
    run = make_record("separate", seed=1)
    twin = {**copy.deepcopy(run), "signature": "0" * 16}
    with pytest.raises(ValueError, match="two runs of separate with seed 1") as refusal:
        rows([run, twin])
    assert run["signature"] in str(refusal.value) and "0" * 16 in str(refusal.value)
    with pytest.raises(ValueError, match="two runs of separate"):
        rows([run, {**twin, "status": "diverged", "scores": {}}])


def test_numbers_in_settings_sort_by_size():
    table = rows([make_record("separate", optim__lr=lr) for lr in (0.1, 1e-3, 0.02)])
    assert [row.setting.rest for row in table] == [("optim.lr=0.001",), ("optim.lr=0.02",), ("optim.lr=0.1",)]


def test_the_order_of_records_does_not_matter():
    assert rows(study()) == rows(study()[::-1])


def altered(change, task="flickr"):
    run = copy.deepcopy(make_record("shared", task, seed=7))
    change(run)
    return run


@pytest.mark.parametrize(
    ("run", "field"),
    [
        (make_record("shared", "flickr", 7, trainer__steps=101), "number of steps is 100 in the first and 101"),
        (make_record("shared", "flickr", 7, trainer__batch_tokens=1024), "tokens per step is 512"),
        (make_record("shared", "flickr", 7, trainer__accumulate=2), "tokens per step is 512"),
        (make_record("shared", "flickr", 7, task__context=65), "task.context is 64"),
        (make_record("shared", "docs", 7, task__newline_is_word=True), "task.newline_is_word is None"),
        (altered(lambda run: run["data"].update(digest="x")), "data digest"),
        (altered(lambda run: run["data"].update(tokenizer="x")), "tokenizer digest"),
        (altered(lambda run: run["training"].update(precision="bf16")), "precision is fp32"),
        (altered(lambda run: run["scores"]["test"].update(bleu_signature="tok:zh")), "BLEU signature on test"),
        (
            altered(lambda run: run["scores"]["test"]["window"].update(stride=8), "docs"),
            "window on test.stride is None",
        ),
    ],
)
def test_what_cannot_stand_in_one_column_is_refused_by_name(run, field):
    with pytest.raises(ValueError, match="cannot stand in one column") as refusal:
        rows([*study(), run])
    assert field in str(refusal.value) and run["signature"] in str(refusal.value)


def test_tasks_may_differ_in_everything():
    rows([*study(), make_record("shared", "docs", status="diverged", seed=9)])  # its missing digests are no difference
    other = [make_record("separate", "flickr", trainer__steps=7), make_record("separate", "docs", trainer__steps=9)]
    assert [str(row.setting) for row in rows(other)] == ["separate"]


def swept(strategy, rate, d_ff, score, task="docs"):
    return [
        make_record(strategy, task, seed, score + seed, optim__lr=rate, model__d_ff=d_ff, match="none")
        for seed in (0, 1)
    ]


def test_a_control_is_compared_with_the_baseline_that_differs_in_its_sizes_alone():
    made = [run for rate in (0.004, 0.016) for run in swept("separate", rate, 64, 40 + rate)]
    made += [run for rate in (0.004, 0.016) for d_ff in (64, 96) for run in swept("shared", rate, d_ff, 42)]
    table = rows(made)
    against = {str(row.setting): str(row.against) for row in table if not row.baseline}
    assert against == {
        f"shared, model.d_ff={d_ff}, optim.lr={rate}": f"separate, model.d_ff=64, optim.lr={rate}"
        for rate in (0.004, 0.016)
        for d_ff in (64, 96)
    }
    column = headline_columns(made)[0]
    assert all(row.cells[column].evidence for row in table if not row.baseline)
    assert without_baseline(table, "separate") == []


def test_a_baseline_of_another_task_is_none():
    made = [*swept("separate", 0.004, 64, 40), *swept("shared", 0.004, 64, 40)]
    other = [make_record(name, "opinions", model__d_ff=32) for name in ("shared", "k_is_v")]
    table = rows([*made, *other])
    lone = next(row for row in table if row.setting.strategy == "k_is_v")
    assert lone.against is None
    assert without_baseline(table, "separate") == ["No run of the baseline separate on opinions is on record."]


def test_rows_without_a_baseline_are_named():
    made = [run for rate in (1, 2) for run in swept("separate", rate, 64, 40)] + swept("shared", 3, 64, 40)
    table = rows(made)
    (sentence,) = without_baseline(table, "separate")
    assert sentence.endswith("agrees in all but the sizes of a control: shared, optim.lr=3.")
    assert sentence in headline_grid(table, made, "separate").notes


def test_a_baseline_without_a_score_or_a_run_is_told():
    made = [make_record("separate", seed=0, status="diverged"), make_record("shared", seed=0)]
    (sentence,) = without_baseline(rows(made), "separate")
    assert sentence == "No run of the baseline separate came to a score: there is nothing to compare with."
    assert sentence in headline_grid(rows(made), made, "separate").notes
    (sentence,) = without_baseline(rows(made[1:]), "separate")
    assert sentence == "No run of the baseline separate is on record: there is nothing to compare with."
