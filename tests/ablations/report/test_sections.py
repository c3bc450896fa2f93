"""What the sections tell the scripts: curves, scores, maps, translations, runs, differences."""

import math

import pytest

from ablations import figures, tables
from ablations import record as records
from ablations.report import answer, curves, maps, runs, safe, scores, studies, translations
from ablations.report.parts import load, mark, of_runs
from ablations.tables.costs import costs, machines
from tests.ablations.make import D2, make_record
from tests.ablations.report import make


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load(make.results(tmp_path_factory.mktemp("results")), "demo")


def test_a_curve_is_the_records_points(study):
    found = {entry["label"]: entry for entry in curves.data([study])}
    entry = found["demo: flickr"]
    assert entry["settings"] == ["separate", "shared"]
    line = next(line for line in entry["lines"] if (line["setting"], line["seed"]) == (1, 1))
    at, values = line["loss"]
    assert entry["steps"][at] == list(range(10, 101, 10))
    assert values == pytest.approx([5.6 - step / 50 for step in range(10, 101, 10)])
    at, values = line["valid_nll"]
    assert (entry["steps"][at], values) == ([100], [3.6])


def test_a_long_curve_is_thinned_to_the_same_steps_for_all_seeds_with_both_ends():
    steps = range(1, 5001)
    study = of_runs("demo", [make_record(seed=seed) | {"curve": make.curve(seed, steps=steps)} for seed in (0, 1)])
    (entry,) = curves.data([study])
    assert len({line["loss"][0] for line in entry["lines"]}) == 1
    kept = entry["steps"][entry["lines"][0]["loss"][0]]
    assert (kept[0], kept[-1]) == (1, 5000)
    assert 190 <= len(kept) <= curves.POINTS


def test_a_run_that_stopped_early_keeps_its_points():
    short, long = (
        make_record(seed=seed) | {"curve": make.curve(seed, steps=range(1, end))} for seed, end in ((0, 50), (1, 5000))
    )
    (entry,) = curves.data([of_runs("demo", [short, long])])
    steps = {line["seed"]: entry["steps"][line["loss"][0]] for line in entry["lines"]}
    assert set(steps[0]) < set(steps[1])


@pytest.mark.parametrize(
    "value, short",
    [
        (3.14159265, 3.1416),
        (12345678, 12345678),
        (1e-7 / 3, 3.3333e-8),
        (2.0, 2),
        (None, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_numbers_keep_five_digits(value, short):
    assert safe.significant(value) == short


def test_scores_are_those_of_the_tables(study):
    entry = next(entry for entry in scores.data([study]) if entry["label"] == "demo: flickr")
    assert entry["scores"][0]["title"] == "BLEU, test"
    setting, mean, low, high, seeds = entry["scores"][0]["cells"][1]
    assert (entry["settings"][setting], mean, seeds) == ("shared", 26.05, {"0": 26, "1": 26.1})
    assert low < mean < high
    assert entry["costs"][0]["parameters"] == 100_000


def test_speed_of_decoding_is_a_cost_where_it_is_on_record():
    """The median over seeds, as in the tables: one slow run says nothing of the others."""
    speeds = enumerate((100.0, 102.0, 40.0))
    quick = [make_record("separate", seed=seed) | {"decoding": {"tokens_per_second": speed}} for seed, speed in speeds]
    study = of_runs("demo", [*quick, make_record("shared")])
    (entry,) = scores.data([study])
    assert entry["costs"][0]["decoding"] == 100 == costs(study.table, "docs")[0].decoding
    assert "decoding" not in entry["costs"][1]


def test_costs_are_those_of_the_tables_each_beside_its_setting():
    sizes = {"separate": (300, 64, 32), "shared": (100, 32, 16), "k_is_v": (200, 32, 32)}
    made = [make_record(strategy, "flickr") for strategy in sizes]
    for run in made:
        names = ("parameters", "cache_numbers_per_token", "cache_numbers_per_source_token")
        run["budget"] |= dict(zip(names, sizes[run["strategy"]], strict=True))
    (entry,) = scores.data([of_runs("demo", made)])
    for name, found in zip(entry["settings"], entry["costs"], strict=True):
        parameters, own, source = sizes[name]
        assert (found["parameters"], found["cache"], found["source_cache"]) == (parameters, 4 * own, 4 * source)
        assert found["projection_d2"] == D2[name] and "flops_per_token" not in found
        assert set(found) <= set(scores.COSTS)


def test_maps_are_the_last_ones_in_thousandths_with_visible_tokens(study):
    (entry,) = maps.data([study])
    run = next(run for run in entry["runs"] if run["setting"] == 1 and run["seed"] == 0)
    assert run["step"] == 100
    assert run["sites"]["encoder.0.self"][0] == [900, 50, 50, 50, 900, 50, 50, 50, 900]
    assert set(run["sites"]) == {"encoder.0.self", "decoder.0.cross"}


def test_a_hypothesis_is_told_in_pieces_that_give_both_texts_back():
    pieces = translations.pieces("das kleine Haus steht da", "ein kleines Haus steht")
    assert pieces == [[2, "ein kleines"], [1, "das kleine"], [0, "Haus steht"], [1, "da"]]
    for kind, text in ((1, "das kleine Haus steht da"), (2, "ein kleines Haus steht")):
        assert " ".join(words for of, words in pieces if of in (0, kind)) == text


def test_sentence_scores_are_sacrebleus():
    import sacrebleu

    bleu, chrf = translations.scores("the cat sat", "the cat sat down")
    assert bleu == round(
        sacrebleu.sentence_bleu("the cat sat", ["the cat sat down"], use_effective_order=True).score, 1
    )
    assert chrf == round(sacrebleu.sentence_chrf("the cat sat", ["the cat sat down"]).score, 1)
    assert translations.scores("a b c d e", "a b c d e") == (100.0, 100.0)


def test_translations_of_one_sentence_stand_together(study):
    (entry,) = translations.data([study])
    assert (entry["settings"], entry["seeds"], entry["languages"]) == (["separate", "shared"], [0, 1], ["en", "de"])
    assert len(entry["sentences"]) == len(make.HOSTILE)
    assert [(setting, seed) for setting, seed, *_ in entry["sentences"][0]["hypotheses"]] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


def test_classifications_are_no_translations():
    sample = {"split": "test", "source": "good", "reference": "1", "hypothesis": "1"}
    assert translations.data([of_runs("demo", [make_record(task="opinions") | {"samples": [sample]}])]) == []


def test_the_table_has_a_line_for_each_run_with_its_command(study):
    columns, lines = runs.table([study])
    assert len(lines) == 8
    assert {len(line.cells) for line in lines} == {len(columns)}
    titles = [column.title for column in columns]
    line = next(line for line in lines if (line.task, line.strategy) == ("flickr", "shared"))
    cells = dict(zip(titles, line.cells, strict=True))
    assert (cells["BLEU"].text, cells["BLEU"].key) == ("26.00", 26)
    assert cells["seconds"].text == "40"
    assert line.command.startswith("python train.py projection=shared seed=0")
    diverged = next(line for line in lines if line.status == "diverged")
    cells = dict(zip(titles, diverged.cells, strict=True))
    assert cells["perplexity"].key is None
    assert cells["status"].text == "diverged: loss is not finite"


def test_what_differs_stands_beside_the_strategy():
    study = of_runs("demo", [make_record("shared", model__d_ff=width) for width in (64, 128)])
    _, lines = runs.table([study])
    assert {line.strategy for line in lines} == {"shared"}
    assert {line.cells[3].text for line in lines} == {"model.d_ff=64", "model.d_ff=128"}


def test_a_difference_is_in_the_scale_of_its_score_and_better_is_positive(study):
    found = {(shift["task"], shift["score"]): shift for shift in answer.shifts(study)}
    bleu, perplexity = found["flickr", "BLEU"], found["docs", "perplexity"]
    assert (bleu["mean"], bleu["unit"]) == (pytest.approx(-4, rel=1e-4), "BLEU")
    assert (perplexity["mean"], perplexity["unit"]) == (pytest.approx(-100 * 1 / 50, rel=1e-4), "%")
    assert bleu["low"] <= bleu["mean"] <= bleu["high"]


def pairs(task, scores, status="finished", **overrides):
    made = [
        make_record(strategy, task, seed, score, status if strategy == "shared" else "finished", **overrides)
        for strategy, found in scores.items()
        for seed, score in enumerate(found)
    ]
    for run in made:
        run["config"]["study"] |= {"margin_bleu": 0.5, "margin_perplexity": 0.01}
    return made


def test_a_baseline_near_zero_blows_no_difference_up():
    study = of_runs("demo", pairs("flickr", {"separate": (0.5, 0.75), "shared": (2.5, 3.0)}))
    shift = next(shift for shift in answer.shifts(study) if shift["score"] == "BLEU")
    assert (shift["mean"], shift["margin"], shift["unit"]) == (2.125, 0.5, "BLEU")


def test_all_numbers_of_a_row_have_one_direction_and_the_scale_of_the_tests():
    """More perplexity is worse: to the left, with its whole interval."""
    study = of_runs("demo", pairs("docs", {"separate": (50, 51, 52), "shared": (60, 62, 61)}))
    [shift] = answer.shifts(study)
    [found] = [cell.evidence for row in study.table for cell in row.cells.values() if cell.evidence]
    assert -100 < shift["low"] < shift["mean"] < shift["high"] < 0 and "difference" not in shift
    assert shift["low"] == pytest.approx(-100 * math.expm1(found.difference.high), rel=1e-4)
    assert shift["margin"] == pytest.approx(1) and shift["unit"] == "%"


def test_an_interval_without_measure_is_a_number_still():
    study = of_runs("demo", pairs("docs", {"separate": (2, 1e140), "shared": (1e140, 2)}))
    [shift] = answer.shifts(study)
    assert shift["low"] < -1e300 and shift["high"] == 100


def test_settings_without_a_pair_are_counted_and_not_forgotten():
    runs = pairs("docs", {"separate": (50, 51), "shared": (60, 62)}, "diverged")
    study = of_runs("demo", runs)
    found = answer.answer([study])
    assert found.shifts == []
    assert [one["says"] for one in found.lost] == ["demo, docs: shared (2 diverged)"]
    assert answer.lost(of_runs("demo", pairs("docs", {"separate": (50, 51), "shared": (60, 62)}))) == []
    [entry] = scores.data([study])
    assert entry["scores"][0]["lost"] == [["shared", "2 diverged"]]
    for run in runs:
        run["curve"] = make.curve(0) if run["strategy"] == "separate" else []
    [entry] = curves.data([of_runs("demo", runs)])
    assert entry["lost"] == [["shared", "2 diverged"]]


def test_charts_are_told_what_scores_can_be(study):
    found = {entry["label"]: entry["scores"][0]["range"] for entry in scores.data([study])}
    assert found == {"demo: docs": (0, None), "demo: flickr": (0, 100)}


def test_runs_that_answer_two_studies_are_one_difference():
    pair = [make_record(strategy, seed=seed, score=30 + seed) for strategy in ("separate", "shared") for seed in (0, 1)]
    found = [of_runs(name, [{**run, "study": name} for run in pair]) for name in ("one", "two")]
    rows = answer.merge(shift for study in found for shift in answer.shifts(study))
    assert [row["studies"] for row in rows] == [["one", "two"]]


def test_runs_of_equal_scores_are_not_the_same_runs():
    """Accuracies of few examples often agree; only the same runs may be told as one."""
    pairs = {
        name: [
            make_record(strategy, "opinions", seed, 70.0 + seed, study=name, study__name=name, optim__lr=lr)
            for strategy in ("separate", "shared")
            for seed in (0, 1)
        ]
        for name, lr in (("one", 0.1), ("two", 0.2))
    }
    found = [shift for name, runs in pairs.items() for shift in answer.shifts(of_runs(name, runs))]
    first, second = ({**shift, "study": "", "runs": ()} for shift in found)
    assert first == second  # to all digits
    rows = answer.merge(found)
    assert [row["studies"] for row in rows] == [["one"], ["two"]]
    assert not any("runs" in row for row in rows) and all("runs" in shift for shift in found)


def test_the_runs_of_a_setting_stand_together_where_its_name_is_shortened():
    """In figures and curves `model.heads` says what `model.head_dim` would; the table of runs has both."""
    made = [
        make_record("separate", seed=seed, model__heads=heads, model__head_dim=32 // heads)
        for seed in (0, 1)
        for heads in (8, 2, 4)
    ]
    study = of_runs("demo", made)
    assert set(study.by_task["docs"]) & set(study.names.values()) == set()
    _, lines = runs.table([study])
    expected = [run["signature"] for group in study.by_task["docs"].values() for run in group]
    assert [line.id for line in lines] == expected and len(lines) == 6
    heads = [line.cells[3].text.split("model.heads=")[1] for line in lines]
    assert heads[::2] == heads[1::2] and len(set(heads)) == 3


def test_an_error_in_the_words_of_the_answer_is_no_refusal_of_the_runs(monkeypatch):
    def broken(*_):
        raise ValueError("a slip in the code")

    names = {"study": "headline_wikitext2", "study__name": "headline_wikitext2"}
    runs = [make_record(strategy, **names) for strategy in ("separate", "shared")]
    monkeypatch.setattr(answer, "in_words", broken)
    with pytest.raises(ValueError, match="a slip in the code"):
        answer.answer([of_runs("headline_wikitext2", runs)])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"margin_bleu": 0.5, "margin_perplexity": 0.01}, "0.5 BLEU and 1 % of perplexity"),
        ({"margin_perplexity": 0.02, "without_margin": "unused"}, "2 % of perplexity"),
        ({"without_margin": "a look around"}, "a look around"),
        ({}, "none was fixed"),
    ],
)
def test_a_margin_in_words(said, words):
    assert studies.margin(said) == words


def test_machines_are_told_as_in_the_tables_of_costs():
    threads = [{"name": "a", "device": "cpu", "threads": number} for number in (2, 1, 2)]
    made = [make_record(seed=seed) | {"machine": machine} for seed, machine in enumerate([*threads, {}])]
    told, _ = machines(of_runs("demo", made).table, "docs")
    counted = zip(told, ("1 run", "2 runs", "1 run"), strict=True)  # the last is on no record
    assert sorted(studies.machines(made)) == sorted(f"{name} ({count})" for name, count in counted)


def test_settings_have_the_looks_of_the_figures(study):
    looks = figures.looks(figures.by_setting([run for run in study.runs if run["task"] == "flickr"]))
    shown = next(entry for entry in curves.data([study]) if entry["label"] == "demo: flickr")
    assert [mark["color"] for mark in shown["marks"]] == [looks[name].colour for name in shown["settings"]]


def test_every_dash_and_marker_of_the_figures_has_one_of_its_own():
    marks = [mark(figures.Look("#000000", *pair)) for pair in zip(figures.DASHES, figures.MARKERS, strict=True)]
    assert len({str(found["strokeDash"]) for found in marks}) == len({found["shape"] for found in marks}) == len(marks)


@pytest.mark.parametrize("spec", [answer.spec(), curves.spec(), scores.seeds_spec(), scores.costs_spec(), maps.spec()])
def test_a_spec_compiles_and_names_no_address(spec):
    import json

    import vl_convert

    names = {"points", "cells", "seeds", "shifts", "weights"}
    whole = {
        **spec,
        "datasets": {name: [] for name in names},
        **({"width": 400} if spec["width"] == "container" else {}),
    }
    compiled = vl_convert.vegalite_to_vega(json.dumps(whole))
    assert compiled["marks"]
    assert not [part for part in compiled["data"] if "url" in part]


def test_the_table_of_runs_shows_scores_that_the_tables_know(study):
    columns, _ = runs.table([study])
    assert {"BLEU", "chrF", "perplexity"} <= {column.title for column in columns} & {
        t for t, _ in tables.SCORES.values()
    }


def test_reading_a_study_twice_gives_the_same(study, tmp_path):
    again = load(make.results(tmp_path), "demo")
    assert curves.data([again]) == curves.data([study])
    assert records.studies(tmp_path) == ["demo"]
