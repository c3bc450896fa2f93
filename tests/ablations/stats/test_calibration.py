"""The calibration runs, and what the code quotes of it stands in its committed results."""

import json

import numpy as np
import pytest

from ablations.bench import calibration, rates, runner
from ablations.bench.nulls import World, make
from ablations.bench.setup import Setup
from ablations.compose import CONF
from ablations.stats import checkpoints
from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY

KEPT = CONF.parent / "results" / "bench" / "calibration.json"


def test_a_quick_run_has_every_table(tmp_path, monkeypatch):
    for name in ("TRANSLATION", "TEXT", "OPINIONS"):
        world = getattr(calibration, name)
        monkeypatch.setattr(calibration, name, World(world.score, world.seed, world.unit, 30))
    page, data = runner.run("calibration", Setup(quick=True, results=str(tmp_path)))
    titles = [table["title"] for table in json.loads(data.read_text())["tables"]]
    assert titles[0] == "Over seeds, on one test set" and titles[-1] == "Degrees of freedom, rejections at 5 %"
    assert titles == [table["title"] for table in json.loads(KEPT.read_text())["tables"]]
    assert "Contenders take turns" not in page.read_text()


def kept(title):
    tables = json.loads(KEPT.read_text())["tables"]
    return next(table for table in tables if table["title"].startswith(title))


def rate(cell):
    return float(cell.split()[0])


def test_quoted_rates_are_those_of_the_committed_run():
    rows = {row[0]: row for row in kept("Two checkpoints")["rows"]}
    assert checkpoints.MEASURED["sacrebleu"] == rate(rows["BLEU: sacreBLEU's paired bootstrap"][1])
    apart = [rate(cell) for what, row in rows.items() if "interval" not in what for cell in row[2:4]]
    assert checkpoints.MEASURED["architectures"] == (min(apart), max(apart))


@pytest.mark.parametrize("score", [BLEU, PERPLEXITY, ACCURACY])
def test_made_up_units_are_what_the_scores_take(score):
    data = make(World(score, 0.02, 0.1, 50), np.random.default_rng(0), 3, 2, 4)
    assert data.shape[:4] == (3, 2, 4, 50) and np.all(np.isfinite(score.value(data.sum(-2))))
    again = make(World(score, 0.02, 0.1, 50), np.random.default_rng(0), 3, 2, 4)
    assert np.array_equal(data, again)


def test_equal_generators_of_text_give_equal_units():
    world = World(PERPLEXITY, 0.0, 0.0, 50)
    first, second = (
        make(world, np.random.default_rng(seed), 1, 1, 40, text=np.random.default_rng(9)).mean(2) for seed in (1, 2)
    )
    assert np.corrcoef(first[0, 0, :, 0], second[0, 0, :, 0])[0, 1] > 0.99


def test_a_shift_is_a_better_score():
    data = make(World(BLEU, 0.0, 0.0, 200), np.random.default_rng(1), 5, 2, 4, shift=0.3)
    scores = BLEU.value(data.sum(-2))
    assert np.all(scores[:, 0].mean(1) > scores[:, 1].mean(1) + 3)


def test_rates_say_where_they_miss_their_bar():
    line = rates.Line("a test", (3.5, 6.5), "a reason")
    kept_to = rates.judged(line, {3: [True] * 5 + [False] * 95, 5: [True] * 4 + [False] * 96})
    missed = rates.judged(line, {3: [True] * 5 + [False] * 95, 5: [False] * 100})
    assert kept_to == ["3.5 to 6.5", "yes"] and missed == ["3.5 to 6.5", "not at 5: a reason"]
    assert rates.text([True] * 5 + [False] * 95) == "5.0 [2.2, 11.2]"  # Wilson's interval, from a calculator


@pytest.mark.parametrize(("pairs", "level"), [(3, 0.0), (5, 0.0), (6, 1 / 32), (8, 6 / 128)])
def test_attainable_levels_of_the_sign_flip(pairs, level):
    assert rates.attained(pairs) == level
