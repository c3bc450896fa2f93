"""Figures from records made by hand: what they show, that they are the same every time, what they leave out."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import figures, record
from tests.ablations.make import make_record

ROOT = Path(__file__).parents[2]
OWN = {"shared": 0.9, "separate": 0.1}


def example(strategy, seed, task="docs"):
    run = make_record(strategy, task, seed)
    level = {"separate": 2.0, "shared": 2.5}[strategy] + seed / 10
    run["curve"] = [{"step": step, "loss": level - step / 100} for step in range(10, 110, 10)]
    run["curve"][4]["valid_nll"], run["curve"][9]["valid_nll"] = level, level - 1
    run["analyses"] = [analysis(strategy, step) for step in (0, 50, 100)]
    return run


def analysis(strategy, step):
    pairs = ("qk", "qv", "kv")
    projections = {"angle": dict.fromkeys(pairs, [10.0, 20.0]), "random_angle": dict.fromkeys(pairs, 60.0)}
    found = {
        "step": step,
        "scores": {"decoder.0.self": {"own_position": [OWN[strategy], 0.5]}},
        "projections": {"decoder.0.self": projections},
        "gradients": {},
    }
    if strategy == "shared":
        found["gradients"] = {"decoder.0.self": {"cosine": {"qk": 0.5, "qv": step / 100, "kv": None}}}
    if step in (0, 100):
        alike = [0.9, None, 0.5 if strategy == "separate" else 0.7]
        layers = {"encoder": {"self_similarity": alike, "random": [0.1, 0.2, 0.3], "corrected": [0.8, None, 0.2]}}
        found["context"] = {"layers": layers, "order": {"difference": 0.1}}
        weight = 1.0 if step else 0.5  # the last one is drawn
        head = [[weight, 0.0, 0.0], [1 - weight, weight, 0.0], [0.0, 0.0, 0.3 if strategy == "separate" else 1.0]]
        found["maps"] = {"weights": {"decoder.0.self": [head, head]}, "tokens": {"decoder": ["a $x_1$", "\n", "<eos>"]}}
    return found


@pytest.fixture
def runs():
    return figures.by_setting([example(strategy, seed) for strategy in ("shared", "separate") for seed in (0, 1, 2)])


def drawn(figure):
    """(label, steps, values) of the lines of each panel."""
    return [[(x.get_label(), *map(list, x.get_data())) for x in panel.lines] for panel in figure.axes]


def write(results, *runs):
    for run in runs:
        record.write(run, results)
    return figures.write(results, "demo")


def all_runs():
    return [example(strategy, seed) for strategy in ("shared", "separate") for seed in (0, 1)]


def test_every_figure_is_written_twice(tmp_path):
    written, left_out = write(tmp_path, *all_runs())
    names = ("curves", "own-position", "role-gradients", "angles", "contexts", "maps-decoder.0.self")
    folder = tmp_path / "figures" / "demo"
    assert written == [folder / f"docs-{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert sorted(folder.iterdir()) == sorted(written)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written if path.suffix == ".png")
    assert all(b"</svg>" in path.read_bytes() for path in written if path.suffix == ".svg")
    [sentence] = left_out
    assert sentence == "docs, role-gradients: no such numbers on record of docs-separate-s0, docs-separate-s1"


def test_the_same_records_give_the_same_bytes(tmp_path, monkeypatch):
    before, _ = write(tmp_path / "a", *all_runs())
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20)  # somebody's own taste
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 7)
    after, _ = write(tmp_path / "b", *reversed(all_runs()))
    for first, second in zip(before, after, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
    assert b"<dc:date>" not in before[1].read_bytes()


def test_a_curve_is_the_mean_over_seeds_within_their_range(runs):
    figure, missing = figures.curves(runs)
    loss, valid = drawn(figure)
    assert missing == []
    assert [label for label, *_ in loss] == ["separate (n=3)", "shared (n=3)"]  # the baseline first
    assert loss[0][1] == list(range(10, 110, 10))
    assert loss[0][2][0] == pytest.approx(2.0 + 0.1 - 0.1)
    assert valid[1][1:] == ([50, 100], pytest.approx([2.6, 1.6]))
    band = figure.axes[1].collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((2.5 - 1, 2.7))


def test_a_mean_is_over_the_steps_all_seeds_have(runs):
    """Else it would jump where a seed joins or leaves."""
    runs["shared"][0]["curve"].pop(0)
    figure, _ = figures.curves(runs)
    assert drawn(figure)[0][1][1][0] == 20


def test_contexts_are_shown_by_layer_and_what_has_no_value_is_left_out(runs):
    figure, missing = figures.contexts(runs)
    same, any_two = drawn(figure)
    assert missing == []
    assert same[0] == ("separate (n=3)", [0, 2], pytest.approx([0.9, 0.5])) and same[1][2][1] == pytest.approx(0.7)
    assert any_two[0][1:] == ([0, 1, 2], pytest.approx([0.1, 0.2, 0.3]))
    assert figures.contexts({"separate": [{**example("separate", 0), "analyses": []}]})[0] is None


def test_lines_differ_in_colour_dash_and_marker():
    runs = [make_record("separate", seed=seed, optim__lr=lr) for seed in (0, 1) for lr in (0.1, 0.2, 0.3, 0.4)]
    for run in runs:
        run["curve"] = [{"step": step, "loss": 1.0} for step in (1, 2)]
    figure, _ = figures.curves(figures.by_setting(runs))
    looks = [(line.get_color(), line.get_marker(), str(line._dash_pattern)) for line in figure.axes[0].lines]
    assert [len(set(column)) for column in zip(*looks, strict=True)] == [4, 4, 4]


def test_there_are_eight_of_each_look():
    for looks in (figures.COLOURS, figures.DASHES, figures.MARKERS):
        assert len(set(looks)) == len(looks) == 8


def test_maps_share_one_scale_and_name_their_tokens(runs):
    figure, missing = figures.attention_maps(runs, "decoder.0.self")
    panels = [panel for panel in figure.axes if panel.images]
    assert missing == [] and len(panels) == 4  # two settings, two heads
    assert {panel.images[0].get_clim() for panel in panels} == {(0, 1)}
    assert [panel.get_title() for panel in panels][::2] == ["separate, head 0", "shared, head 0"]
    assert panels[0].images[0].get_array()[0, 0] == 1.0  # of the last analysis, not the first
    assert panels[0].images[0].get_array()[2, 2] == 0.3
    labels = [text.get_text() for text in panels[0].get_xticklabels()]
    assert labels == ["a\u00b7$x_1$", "\\n", "<eos>"] == [text.get_text() for text in panels[0].get_yticklabels()]


def test_ids_stand_where_there_are_no_tokens(runs):
    for run in runs["separate"]:
        for seen in run["analyses"]:
            if "maps" in seen:
                del seen["maps"]["tokens"]
                seen["maps"]["ids"] = {"decoder": [1, 7, 2]}
    figure, _ = figures.attention_maps(runs, "decoder.0.self")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "7", "2"]


def test_at_a_cross_site_keys_are_source_tokens():
    run = example("separate", 0, "flickr")
    maps = {
        "weights": {"decoder.0.cross": [[[0.5, 0.5]]]},
        "tokens": {"decoder": ["<bos>"], "encoder": ["ein", "Haus"]},
    }
    run["analyses"] = [{"step": 0, "maps": maps}]
    figure, _ = figures.attention_maps({"separate": [run]}, "decoder.0.cross")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["ein", "Haus"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["<bos>"]


def test_settings_may_have_different_numbers_of_heads(runs):
    for seen in runs["separate"][0]["analyses"]:
        if "maps" in seen:
            seen["maps"]["weights"]["decoder.0.self"].pop()
    figure, _ = figures.attention_maps(runs, "decoder.0.self")
    assert len([panel for panel in figure.axes if panel.images]) == 3


def test_what_analyses_saw_over_training(runs):
    named = {name: figure for name, figure, _ in figures.figures(runs)}
    [own] = drawn(named["own-position"])
    assert [(label, values) for label, _, values in own] == [
        ("separate (n=3)", pytest.approx([0.3] * 3)),  # mean of .1 and .5
        ("shared (n=3)", pytest.approx([0.7] * 3)),
    ]
    qk, qv, kv = drawn(named["role-gradients"])
    assert qk == [("shared (n=3)", [0, 50, 100], [0.5] * 3)]
    assert qv == [("shared (n=3)", [0, 50, 100], [0.0, 0.5, 1.0])]
    assert kv == []  # two parts of zero have no cosine
    for panel in drawn(named["angles"]):
        assert [values for _, _, values in panel[:2]] == [[15.0] * 3] * 2
        assert panel[2][0] == "random" and set(panel[2][2]) == {60.0}
    limits = {name: {panel.get_ylim() for panel in named[name].axes} for name in ("own-position", "role-gradients")}
    assert limits == {"own-position": {(0, 1)}, "role-gradients": {(-1, 1)}}


def test_a_record_that_lacks_something_is_skipped_with_a_sentence(tmp_path):
    bare = make_record("shared", seed=7)
    broken = make_record("shared", seed=8, status="diverged")
    written, left_out = write(tmp_path, example("separate", 0), bare, broken)
    assert len(written) == 10  # nobody has role gradients
    assert "docs-shared-s8 is left out: it diverged" in left_out
    assert "docs, curves: no such numbers on record of docs-shared-s7" in left_out
    assert "docs, role-gradients: no run has such numbers on record" in left_out
    assert "docs, maps-decoder.0.self: no maps of this site on record of shared" in left_out


def test_nothing_to_draw_is_no_error(tmp_path):
    written, left_out = write(tmp_path, make_record())
    assert written == [] and not (tmp_path / "figures").exists()
    assert "docs, curves: no run has such numbers on record" in left_out


def test_numbers_lost_to_divergence_leave_a_gap(runs):
    run = copy.deepcopy(runs["shared"][0])
    run["curve"][3]["loss"] = None
    figure, _ = figures.curves({"shared": [run]})
    assert 40 not in drawn(figure)[0][0][1]


def test_tasks_have_figures_of_their_own(tmp_path):
    runs = [example("separate", 0), example("separate", 0, "flickr")]
    written, _ = write(tmp_path, *({**run, "analyses": []} for run in runs))
    assert {path.name.split("-")[0] for path in written} == {"docs", "flickr"}


def test_from_the_shell_without_torch(tmp_path):
    for run in all_runs():
        record.write(run, tmp_path)
    program = (
        "import sys, runpy; sys.argv = ['figures.py', '--results', sys.argv[1], '--study', sys.argv[2]]\n"
        "try: runpy.run_path('scripts/figures.py', run_name='__main__')\n"
        "finally: assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path, "demo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "docs-curves.svg" in done.stdout and "role-gradients: no such numbers" in done.stdout
    done = subprocess.run([sys.executable, "-c", program, tmp_path, "other"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "no records of study 'other'" in done.stderr
