"""Lines over training: what they show, and how many settings stand in one panel."""

import copy

import pytest

from ablations import figures
from tests.ablations.figures.make import drawn, example, figure, material
from tests.ablations.make import make_record


@pytest.fixture
def runs():
    return [example(strategy, seed) for strategy in ("shared", "separate") for seed in (0, 1, 2)]


def test_a_curve_is_the_mean_over_seeds_within_their_range(runs):
    curves = figure(runs, "curves")
    loss, valid = drawn(curves)
    assert [label for label, *_ in loss] == ["separate (n=3)", "shared (n=3)"]  # the baseline first
    assert loss[0][1] == list(range(10, 110, 10))
    assert loss[0][2][0] == pytest.approx(2.0 + 0.1 - 0.1)
    assert valid[1][1:] == ([50, 100], pytest.approx([2.6, 1.6]))
    band = curves.axes[1].collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((2.5 - 1, 2.7))


def test_a_mean_is_over_the_steps_all_seeds_have(runs):
    """Else it would jump where a seed joins or leaves."""
    next(run for run in runs if run["strategy"] == "shared")["curve"].pop(0)
    assert drawn(figure(runs, "curves"))[0][1][1][0] == 20


def test_numbers_lost_to_divergence_leave_a_gap(runs):
    run = copy.deepcopy(runs[0])
    run["curve"][3]["loss"] = None
    assert 40 not in drawn(figure([run], "curves"))[0][0][1]


def test_the_fall_at_the_start_does_not_flatten_the_rest(runs):
    """No point after the first tenth of training is cut off."""
    for run in runs:
        run["curve"] = [{"step": 1, "loss": 100.0}, *({**point, "step": point["step"] + 10} for point in run["curve"])]
    [panel, _] = figure(runs, "curves").axes
    bottom, top = panel.get_ylim()
    late = [y for _, x, values in drawn(panel.figure)[0] for step, y in zip(x, values, strict=True) if step > 11]
    assert bottom < min(late) and max(late) < top < 5


def test_a_loss_seen_once_is_no_curve(runs):
    for run in runs:
        run["curve"][4].pop("valid_nll")
    [drawing] = figures.drawings(material(runs), "curves")
    assert [panel.get_title() for panel in drawing.figure.axes] == ["training loss (nats)"]
    assert drawing.missing == ["validation loss (nats) at 1 step on record"]


def many(number):
    runs = [make_record(seed=seed, optim__lr=0.1 + i) for i in range(number) for seed in (0, 1)]
    for run in runs:
        lr = run["config"]["optim"]["lr"]
        run["curve"] = [{"step": step, "loss": lr / step, "valid_nll": lr} for step in (1, 2, 3)]
    return runs


@pytest.mark.parametrize("number", [8, 9, 12, 30])
def test_many_settings_stand_in_rows_of_a_few_each_with_the_baseline(number):
    curves = figure(many(number), "curves")
    parts = curves.subfigs
    rows = [[line.get_label() for line in part.axes[0].lines] for part in parts]
    everybody = list(material(many(number)).runs)
    assert all(len(row) <= 8 and row[0].startswith(everybody[0]) for row in rows)
    assert sorted({label.split(" (")[0] for row in rows for label in row}) == sorted(everybody)
    assert len(rows) == 1 if number == 8 else len(rows) > 1
    for part, row in zip(parts, rows, strict=True):  # each row is read with its own legend and on the same axes
        [legend] = part.legends
        assert [text.get_text() for text in legend.get_texts()] == row
        assert len({line.get_color() for line in part.axes[0].lines}) == len(row)
    for column in range(2):
        assert len({(part.axes[column].get_ylim(), part.axes[column].get_xlim()) for part in parts}) == 1


def test_what_analyses_saw_over_training(runs):
    [own] = drawn(figure(runs, "own-position"))
    assert [(label, values) for label, _, values in own] == [
        ("separate (n=3)", pytest.approx([0.3] * 3)),  # mean of .1 and .5
        ("shared (n=3)", pytest.approx([0.7] * 3)),
    ]
    qk, qv = drawn(figure(runs, "role-gradients"))  # of key and value nothing is on record
    assert qk == [("shared (n=3)", [0, 50, 100], [0.5] * 3)]
    assert qv == [("shared (n=3)", [0, 50, 100], [0.0, 0.5, 1.0])]
    for panel in drawn(figure(runs, "angles")):
        assert [values for _, _, values in panel[:2]] == [[15.0] * 3] * 2
        assert panel[2][0] == "random" and set(panel[2][2]) == {60.0}


@pytest.mark.parametrize(
    ("name", "least", "most"), [("own-position", 0, 1), ("role-gradients", -1, 1), ("angles", 0, 90)]
)
def test_what_has_limits_is_drawn_between_them(runs, name, least, most):
    for panel in figure(runs, name).axes:
        low, high = panel.get_ylim()
        assert low < least and most < high < most + (most - least) / 10


def test_contexts_are_shown_by_layer_and_what_has_no_value_is_left_out(runs):
    same, any_two = drawn(figure(runs, "contexts"))
    assert same[0] == ("separate (n=3)", [0, 2], pytest.approx([0.9, 0.5])) and same[1][2][1] == pytest.approx(0.7)
    assert any_two[0][1:] == ([0, 1, 2], pytest.approx([0.1, 0.2, 0.3]))
    assert figure([{**example("separate", 0), "analyses": []}], "contexts") is None
