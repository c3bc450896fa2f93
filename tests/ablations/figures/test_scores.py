"""Scores, differences, costs and rates: the numbers drawn are those of the records, on axes that show them."""

import math

import pytest

from ablations import figures, tables
from ablations.figures import pareto
from tests.ablations.figures.make import figure, material
from tests.ablations.make import make_record

SCORED = {"separate": (20.0, 21.0, 22.5), "shared": (24.0, 25.0, 30.0), "k_is_v": (22.0, 22.0, 22.5)}


def scored(task="docs", margin: float | None = 0.1):
    runs = [
        make_record(strategy, task, seed, score)
        for strategy, scores in SCORED.items()
        for seed, score in enumerate(scores)
    ]
    for run in runs:
        run["budget"] |= {"parameters": {"separate": 300, "k_is_v": 200, "shared": 100}[run["strategy"]]}
        run["config"]["study"] |= {"margin_perplexity": margin, "margin_bleu": margin}
    return runs


def columns_of(panel):
    """Row of a label -> what is drawn near it: dots, interval, mean."""
    found = {}
    for line in panel.lines:
        x, y = map(list, line.get_data())
        if line.get_transform() == panel.transData and set(y) != {0, 1}:  # and not the line at 0
            found.setdefault(round(y[0]), []).append(x)
    return found


def labels(panel):
    return [text.get_text() for text in panel.get_yticklabels()]


def test_every_seed_is_a_dot_with_the_mean_and_its_interval_beside():
    [panel] = figure(scored(), "dots").axes
    assert labels(panel) == ["separate (n=3)", "k_is_v (n=3)", "shared (n=3)"]  # from above, as in the tables
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    dots, interval, mean = columns_of(panel)[2]
    assert dots == list(SCORED["shared"]) and mean == [pytest.approx(79 / 3)]
    half = 4.302652729749462 * math.sqrt(sum((x - 79 / 3) ** 2 for x in SCORED["shared"]) / 2 / 3)
    assert interval == pytest.approx([79 / 3 - half, 79 / 3 + half])


def test_a_translator_has_a_panel_for_each_headline_score():
    runs = scored("flickr")
    assert [panel.get_xlabel() for panel in figure(runs, "dots").axes] == ["BLEU, test", "perplexity, test"]


def test_runs_without_a_score_are_counted_beside_the_name():
    lost = [make_record("shared", seed=seed, status="diverged") for seed in (3, 4)]
    only_lost = make_record("q_is_k", status="failed")
    [panel] = figure([*scored(), *lost, only_lost], "dots").axes
    assert labels(panel)[2:] == ["q_is_k (n=0, 1 failed)", "shared (n=3, 2 diverged)"]


def test_an_interval_of_two_seeds_does_not_hide_the_dots():
    """It is 13 times as wide as they are apart; arrows at the edges say that it goes on."""
    runs = [run for run in scored() if run["seed"] < 2]
    [panel] = figure(runs, "dots").axes
    low, high = panel.get_xlim()
    dots = [x for run in runs for x in [run["scores"]["test"]["token_perplexity"]]]
    assert low < min(dots) and max(dots) < high
    assert high - low < 4 * (max(dots) - min(dots))
    arrows = {line.get_marker() for line in panel.lines if list(line.get_xdata()) in ([low], [high])}
    assert arrows == {"<", ">"}


@pytest.mark.parametrize(("task", "scores"), [("docs", (5.0, 300.0)), ("flickr", (3.0, 98.0))])
def test_an_axis_ends_where_scores_do(task, scores):
    """No perplexity and no BLEU is below 0, however far an interval of two seeds reaches; none is above 100 BLEU."""
    runs = [make_record("shared", task, seed, score) for seed, score in enumerate(scores)]
    panel = figure(runs, "dots").axes[0]
    low, high = panel.get_xlim()
    assert low == 0 and max(scores) < high and (task == "docs" or high == 100)
    arrows = {line.get_marker() for line in panel.lines if list(line.get_xdata()) in ([low], [high])}
    assert arrows == {"<", ">"}


def test_a_dot_at_the_end_of_the_scale_has_its_edge():
    runs = [make_record("shared", "flickr", seed, score) for seed, score in enumerate((0.0, 100.0))]
    low, high = figure(runs, "dots").axes[0].get_xlim()
    assert -10 < low < 0 and 100 < high < 110


def lost(*runs):
    """With a setting of which all runs diverged."""
    return [*runs, *(make_record("q_is_k", seed=seed, status="diverged") for seed in (0, 1))]


def test_a_setting_without_a_pair_keeps_its_row():
    [drawing] = figures.drawings(material(lost(*scored())), "differences")
    [panel] = drawing.figure.axes
    assert "q_is_k (n=0, 2 diverged)" in labels(panel)
    [text] = [text for text in panel.texts if text.get_text() == "no pair"]
    assert labels(panel)[text.xy[1]] == "q_is_k (n=0, 2 diverged)"
    assert "q_is_k: no pair of runs, 2 diverged." in drawing.description


def test_a_setting_without_a_score_is_named_beside_costs_and_curves():
    runs = lost(*scored())
    [drawing] = figures.drawings(material(runs), "pareto")
    assert "Not drawn, without a score: q_is_k (n=0, 2 diverged)." in drawing.description
    for run in runs:
        run["curve"] = [{"step": step, "loss": 1.0} for step in (1, 2)]
    [drawing] = figures.drawings(material(runs), "curves")
    assert drawing.description.endswith("Not drawn are runs of q_is_k (2 diverged).")
    [drawing] = figures.drawings(material(scored()), "pareto")
    assert "Not drawn" not in drawing.description


def test_differences_are_paired_and_of_perplexity_logarithmic():
    [panel] = figure(scored(), "differences").axes
    assert labels(panel) == ["k_is_v (n=3)", "shared (n=3)"]
    dots, _, mean = columns_of(panel)[1]
    expected = [math.log(a / b) for a, b in zip(SCORED["shared"], SCORED["separate"], strict=True)]
    assert dots == pytest.approx(expected) and mean == [pytest.approx(sum(expected) / 3)]


def test_differences_of_bleu_are_plain_with_the_margin_as_a_band():
    bleu, perplexity = figure(scored("flickr", margin=0.5), "differences").axes
    assert columns_of(bleu)[1][0] == pytest.approx([4.0, 4.0, 7.5])
    bands = [
        patch.get_extents().transformed(panel.transData.inverted())
        for panel in (bleu, perplexity)
        for patch in panel.patches
    ]
    assert [(band.x0, band.x1) for band in bands] == [
        pytest.approx((-0.5, 0.5)),
        pytest.approx((-math.log(1.5), math.log(1.5))),
    ]
    assert all(patch.get_hatch() for patch in bleu.patches)  # seen without colour
    assert "right of 0 is better" in bleu.get_xlabel() and "left of 0 is better" in perplexity.get_xlabel()


def test_a_study_without_a_margin_has_no_band():
    [panel] = figure(scored(margin=None), "differences").axes
    assert not panel.patches and "margin" not in panel.get_xlabel()
    assert panel.get_xlim()[0] < 0  # the baseline can be seen


def test_verdicts_are_those_of_the_tables():
    runs = scored()
    rows = {str(row.setting): row for row in tables.rows(runs)}
    [panel] = figure(runs, "differences").axes
    weighed = {name: [cell.evidence for cell in row.cells.values() if cell.evidence] for name, row in rows.items()}
    expected = [one.verdict for name in ("k_is_v", "shared") for one in weighed[name]]
    assert [text.get_text() for text in panel.texts] == expected and len(expected) == 2


def test_a_baseline_alone_has_no_differences():
    assert figure([run for run in scored() if run["strategy"] == "separate"], "differences") is None


def test_a_front_joins_what_no_cheaper_setting_beats():
    points = [(1, 5.0), (2, 6.0), (3, 4.0), (3, 3.0), (4, 9.0), (5, 2.0)]
    assert pareto.front(points, higher=False) == [(1, 5.0), (3, 3.0), (5, 2.0)]
    assert pareto.front(points, higher=True) == [(1, 5.0), (2, 6.0), (4, 9.0)]
    brute = [p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)]
    assert pareto.front(points, higher=False) == sorted(brute)


def test_costs_and_scores_stand_where_they_are():
    [panel] = figure(scored(), "pareto").axes  # the cache is the same for all
    drawn = {x.get_label().split(" (")[0]: list(zip(*x.get_data(), strict=True)) for x in panel.lines}
    assert drawn["shared"] == [(100, pytest.approx(79 / 3))] and drawn["separate"] == [(300, pytest.approx(63.5 / 3))]
    low, high = panel.get_xlim()
    assert low < 100 and high > 300


def test_the_source_a_translator_remembers_counts():
    run = scored("flickr")[0]
    run["budget"] |= {"cache_numbers_per_token": 64, "cache_numbers_per_source_token": 32}
    assert pareto.costs(material([run]), "separate") == {
        "parameters": 300,
        "numbers cached per target and source token": 96,
    }
    run["budget"]["cache_numbers_per_source_token"] = 0
    assert pareto.costs(material([run]), "separate")["numbers cached per token"] == 64


@pytest.mark.parametrize(
    ("task", "source", "title"),
    [("docs", None, "numbers cached per token"), ("flickr", 8, "numbers cached per target and source token")],
)
def test_an_axis_says_whether_the_source_is_counted(task, source, title):
    runs = scored(task)
    for run in runs:
        run["budget"] |= {"cache_numbers_per_token": run["budget"]["parameters"]}
        run["budget"] |= {"cache_numbers_per_source_token": source} if source else {}
    [drawing] = figures.drawings(material(runs), "pareto")
    assert [panel.get_xlabel() for panel in drawing.figure.axes] == ["parameters", title]
    assert f" {title}, " in drawing.description and f"({title})." in drawing.description


def test_settings_that_cost_the_same_stand_side_by_side():
    runs = scored()
    for run in runs:
        run["budget"]["parameters"] = 100 if run["strategy"] == "separate" else 50
    [drawing] = figures.drawings(material(runs), "pareto")
    [panel] = drawing.figure.axes
    assert panel.get_xlabel() == "parameters\n(equal costs drawn side by side)"  # as nobody could tell it else
    assert "Settings of equal parameters are drawn side by side." in drawing.description
    at = {
        x.get_label(): x.get_transform().transform(x.get_xydata()[0])[0] for x in panel.lines if "n=" in x.get_label()
    }
    assert at["shared (n=3)"] - at["k_is_v (n=3)"] > 5


RATES = {0.001: (2.0, 2.2), 0.003: (1.5, 1.9), 0.01: (1.4, None)}


def rated():
    runs = []
    for strategy, shift in {"separate": 0.0, "shared": 0.5}.items():
        for lr, found in RATES.items():
            for seed, loss in enumerate(found):
                diverged = loss is None and strategy == "shared"
                run = make_record(strategy, seed=seed, optim__lr=lr, status="diverged" if diverged else "finished")
                if not diverged:
                    run["scores"]["valid"]["nll"] = (loss or 1.2) + shift
                runs.append(run)
    return runs


def test_a_line_over_the_rates_with_the_best_ringed():
    [panel] = figure(rated(), "rates").axes
    lines = {line.get_label(): line for line in panel.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["separate", "shared"]
    assert list(lines["shared"].get_xdata()) == [0.001, 0.003, 0.01]
    assert list(lines["shared"].get_ydata()) == pytest.approx([2.6, 2.2, 1.9])
    rings = [list(zip(*x.get_data(), strict=True)) for x in panel.lines if x.get_markersize() > 10]
    # The lowest mean; not at a rate at which a run diverged.
    assert rings == [[(0.01, pytest.approx(1.3))], [(0.003, pytest.approx(2.2))]]
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["0.001", "0.003", "0.01"]


def test_what_diverged_is_counted_at_the_upper_edge():
    [panel] = figure(rated(), "rates").axes
    [text] = [text for text in panel.texts if text.get_text()]
    assert text.get_text().strip() == "1 diverged"
    assert text.get_position()[0] == 0.01 and text.get_position()[1] >= 1  # of the axes


def test_scores_that_are_all_alike_are_no_matter_of_cost():
    """The next headline score is, where there is one."""
    runs = scored("flickr")
    for run in runs:
        run["scores"]["test"]["bleu"] = 0.0
    assert "perplexity" in figure(runs, "pareto").axes[0].get_ylabel()
    for run in runs:
        run["scores"]["test"]["token_perplexity"] = 1.0
    assert figure(runs, "pareto") is None


def test_one_rate_is_no_figure():
    [drawing] = figures.drawings(material(scored()), "rates")
    assert drawing.figure is None and drawing.missing == ["no setting was trained at several rates (optim.lr)"]


def test_what_order_is_worth_is_drawn_seed_by_seed_and_a_run_that_nobody_looked_at_is_not_there():
    runs = scored()
    for run, gain in zip(runs[:6], (1.0, 2.0, 3.0, 0.5, 0.5, 0.5), strict=True):
        run["analyses"] = [{"step": step, "context": {"order": {"difference": gain * (step > 0)}}} for step in (0, 9)]
    runs[5]["status"] = "diverged"
    [panel] = figure(runs, "order").axes
    assert labels(panel) == ["separate (n=3)", "shared (n=2, 1 diverged)"]
    dots, _, mean = columns_of(panel)[0]
    assert dots == [1, 2, 3] and mean == [2]
    [drawn] = figures.drawings(material(runs), "order")
    assert "separate: 2.00 [" in drawn.description
