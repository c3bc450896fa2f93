"""All figures of a study: what is written and what is left out, the same every time, for readers of every kind."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ablations import figures, record
from tests.ablations.figures.make import example, figure, material
from tests.ablations.make import make_record

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def write(results, *runs, names=None):
    for run in runs:
        record.write(run, results)
    return figures.write(results, "demo", names)


def all_runs():
    return [example(strategy, seed) for strategy in ("shared", "separate") for seed in (0, 1)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("results"), *all_runs())


def test_every_figure_is_written_twice(written):
    files, left_out = written
    names = ("dots", "differences", "pareto", "curves", "own-position", "role-gradients", "angles", "contexts", "order")
    names += ("maps-decoder.0.self",)
    [folder] = {path.parent for path in files}
    assert files == [folder / f"docs-{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert sorted(folder.iterdir()) == sorted(files)
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files if path.suffix == ".png")
    assert all(b"</svg>" in path.read_bytes() for path in files if path.suffix == ".svg")
    assert left_out == [
        "docs, rates: no setting was trained at several rates (optim.lr)",
        "docs, role-gradients: no such numbers on record of docs-separate-s0, docs-separate-s1",
        "docs, role-gradients: no cosine, key and value on record",  # two parts of zero have none
    ]


def test_the_same_records_give_the_same_bytes(written, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20)  # somebody's own taste
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 7)
    after, _ = write(tmp_path, *reversed(all_runs()), names=["differences", "curves", "maps"])
    before = {path.name: path.read_bytes() for path in written[0]}
    assert len(after) == 6 and all(path.read_bytes() == before[path.name] for path in after)
    assert b"<dc:date>" not in written[0][1].read_bytes()


def test_an_svg_says_in_words_what_it_shows(written):
    """Screen readers read `title` and `desc`, if they stand first and are named; letters are text, not outlines."""
    for path in (path for path in written[0] if path.suffix == ".svg"):
        root = ElementTree.parse(path).getroot()
        title, words = list(root)[:2]
        assert (title.tag, words.tag) == (f"{SVG}title", f"{SVG}desc")
        assert root.get("role") == "img"
        assert root.get("aria-labelledby", "").split() == [title.get("id"), words.get("id")]
        assert "docs" in (title.text or "") and len(words.text or "") > 60
        assert root.findall(f".//{SVG}text"), path.name


def test_the_words_of_a_figure_have_its_numbers(written):
    texts = {path.stem: path.read_text() for path in written[0] if path.suffix == ".svg"}
    assert "validation loss (nats): separate 1.05 at step 100; shared 1.55 at step 100." in texts["docs-curves"]
    assert "shared (n=2): perplexity 31.00 [31.00, 31.00]." in texts["docs-dots"]


def test_a_png_has_its_words_too(written):
    from PIL import Image

    with Image.open(written[0][0]) as picture:
        assert picture.text["Title"] == "Scores by seed (docs)" and "perplexity" in picture.text["Description"]


def test_one_figure_can_be_asked_for(tmp_path):
    files, left_out = write(tmp_path, *all_runs(), names=["curves"])
    assert [path.name for path in files] == ["docs-curves.png", "docs-curves.svg"] and left_out == []


def test_an_unknown_figure_is_refused_with_the_nearest_known(tmp_path):
    with pytest.raises(ValueError, match="figure='curve' is unknown: did you mean 'curves'"):
        write(tmp_path, *all_runs(), names=["curve"])


def test_settings_can_be_told_apart_without_colour(written):
    """In shades of grey, two lines of an SVG still differ in their dashes, and the markers in their paths."""
    root = ElementTree.parse(next(path for path in written[0] if path.name == "docs-curves.svg")).getroot()
    for style in root.iter(f"{SVG}style"):
        style.text = ""
    for element in root.iter():  # what a grey print leaves of it
        if "style" in element.attrib:
            element.set("style", re.sub(r"#[0-9a-f]{6}", "grey", element.get("style")))
    axes = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "axes_1")
    lines = [group for group in axes if (group.get("id") or "").startswith("line2d")]
    dashes = [re.findall(r"stroke-dasharray: [^;]*", line.find(f"{SVG}path").get("style")) for line in lines]
    shapes = [line.find(f".//{SVG}defs/{SVG}path").get("d") for line in lines]
    assert len(lines) == 2 and dashes[0] != dashes[1] and shapes[0] != shapes[1]


def test_a_record_that_lacks_something_is_skipped_with_a_sentence(tmp_path):
    bare = make_record("shared", seed=7)
    broken = make_record("shared", seed=8, status="diverged")
    asked = ["dots", "curves", "role-gradients", "maps"]
    files, left_out = write(tmp_path, example("separate", 0), bare, broken, names=asked)
    names = {path.stem.removeprefix("docs-") for path in files}
    assert names == {"dots", "curves", "maps-decoder.0.self"}
    assert "docs-shared-s8 diverged: it has no curve, map or analysis" in left_out
    assert "docs, curves: no such numbers on record of docs-shared-s7" in left_out
    assert "docs, role-gradients: no run has such numbers on record" in left_out
    assert "docs, maps-decoder.0.self: no maps of this site on record of shared" in left_out


def test_runs_that_cannot_stand_in_one_table_are_not_compared(tmp_path):
    """Their curves still can be looked at."""
    runs = [example("separate", 0), example("separate", 1, trainer__steps=200)]
    files, left_out = write(tmp_path, *runs, names=["dots", "curves"])
    assert [path.name for path in files] == ["docs-curves.png", "docs-curves.svg"]
    assert any(sentence.startswith("docs, dots:") and "number of steps is 100" in sentence for sentence in left_out)


def test_an_error_of_the_drawing_itself_is_none_of_the_runs(monkeypatch):
    """It would else be a figure that is left out, with a sentence that nobody can act on."""

    def broken(material):
        assert material.rows
        yield int("no number")

    monkeypatch.setitem(figures.FIGURES, "dots", broken)
    with pytest.raises(ValueError, match="invalid literal"):
        figures.drawings(material(all_runs()), "dots")


def test_a_study_of_two_baselines_is_not_compared_and_its_curves_are_drawn(tmp_path):
    runs = [example("separate", 0), example("shared", 0)]
    runs[1]["config"]["study"]["baseline"] = "shared"
    files, left_out = write(tmp_path, *runs, names=["dots", "curves"])
    assert [path.stem for path in files] == ["docs-curves"] * 2
    assert left_out == [
        "docs, dots: the runs of study demo name several baselines (separate, shared): choose one",
    ]


def test_nothing_to_draw_is_no_error(tmp_path):
    files, left_out = write(tmp_path, make_record(status="failed"))
    assert files == [] and not (tmp_path / "figures").exists()
    assert left_out == ["docs-shared-s0 failed: it has no curve, map or analysis"]


def test_tasks_have_figures_of_their_own(tmp_path):
    runs = [example("separate", 0), example("separate", 0, "flickr")]
    files, _ = write(tmp_path, *({**run, "analyses": []} for run in runs), names=["curves"])
    assert [path.name for path in files if path.suffix == ".png"] == ["docs-curves.png", "flickr-curves.png"]


def test_a_setting_looks_the_same_in_every_figure_of_a_study():
    """Also where one task, or one figure, lacks the settings before it."""
    runs = [example(strategy, 0, task) for strategy in ("shared", "separate") for task in ("docs", "flickr")]
    runs = [run for run in runs if (run["task"], run["strategy"]) != ("flickr", "separate")]
    looks = []
    for one in figures.materials(runs):
        for name in ("curves", "role-gradients", "dots", "pareto"):
            [drawing] = figures.drawings(one, name)
            lines = drawing.figure.axes[0].lines if drawing.figure else []
            marks = [(line.get_marker(), line.get_color()) for line in lines if line.get_label().startswith("shared")]
            marks += [(x.get_marker(), x.get_color()) for x in lines if name == "dots" and len(x.get_xdata()) == 1][-1:]
            looks += marks
    assert len(looks) == 7 and len(set(looks)) == 1, looks


def test_curves_and_scores_have_one_order():
    """That of the tables: by size, and not as words, of which 10 comes before 9."""
    runs = [example(strategy, 0, model__d_ff=width) for strategy in ("shared", "separate") for width in (9, 10, 100)]
    one = material(runs)
    assert list(one.runs) == list(one.rows) == list(one.looks)
    assert list(one.runs)[:3] == [f"separate, model.d_ff={width}" for width in (9, 10, 100)]


def test_one_look_for_one_setting_and_fifty_in_black_and_white():
    found = list(figures.looks([str(number) for number in range(50)]).values())
    assert len({(str(look.dash), look.marker) for look in found}) == 50
    assert sum(look.colour == found[0].colour for look in found) == 1  # the baseline's own


def test_there_are_eight_of_each_look():
    for looks in (figures.COLOURS, figures.DASHES, figures.MARKERS):
        assert len(set(looks)) == len(looks) == 8


def test_colours_have_contrast_to_paper():
    """Relative luminance as of WCAG 2; 2 : 1 at least, as a yellow has not."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in figures.COLOURS)


def test_lines_differ_in_colour_dash_and_marker():
    runs = [make_record("separate", seed=seed, optim__lr=lr) for seed in (0, 1) for lr in (0.1, 0.2, 0.3, 0.4)]
    for run in runs:
        run["curve"] = [{"step": step, "loss": 1.0} for step in (1, 2)]
    looks = [(x.get_color(), x.get_marker(), str(x._dash_pattern)) for x in figure(runs, "curves").axes[0].lines]
    assert [len(set(column)) for column in zip(*looks, strict=True)] == [4, 4, 4]


def test_a_baseline_is_that_of_the_study_itself():
    """A record that another study made first keeps that study's words."""
    other = example("shared", 0)
    other["config"]["study"] = {**other["config"]["study"], "name": "elsewhere", "baseline": "shared"}
    assert material([other, example("separate", 1)]).baseline == "separate"
    assert list(figures.by_setting([other, example("separate", 1)])) == ["separate", "shared"]


def test_from_the_shell_without_torch(tmp_path):
    for run in all_runs():
        record.write(run, tmp_path)
    program = (
        "import sys, runpy; sys.argv = ['figures.py', '--results', sys.argv[1], '--study', *sys.argv[2:]]\n"
        "try: runpy.run_path('scripts/figures.py', run_name='__main__')\n"
        "finally: assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )

    def shell(*given):
        command = [sys.executable, "-c", program, str(tmp_path), *given]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = shell("demo", "--figure", "curves", "role-gradients")
    assert done.returncode == 0, done.stderr
    assert "docs-curves.svg" in done.stdout and "role-gradients: no such numbers" in done.stdout
    assert "dots" not in done.stdout
    done = shell("other")
    assert done.returncode != 0 and "no records of study 'other'" in done.stderr
