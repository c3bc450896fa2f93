"""Every benchmark runs, tiny, and writes its files. What it times is not looked at: the machine may be busy."""

import json
import runpy

import pytest
import torch

from ablations.bench import names, runner
from ablations.bench.setup import Setup
from ablations.compose import CONF


@pytest.fixture
def setup(tmp_path, cache, one_thread):
    def made(**given):
        return Setup(rounds=1, quick=True, cache=str(cache), results=str(tmp_path), **given)

    return made


def tables(name, setup):
    text, data = runner.run(name, setup)
    assert text.exists()
    return json.loads(data.read_text())["tables"]


def first_column(table):
    return [row[0] for row in table["rows"]]


@pytest.mark.parametrize("name", ["precision", "storage", "key_width"])
def test_steps_and_products(setup, name):
    [table] = tables(name, setup())
    assert set(first_column(table)) == set(table["samples"]) and len(table["rows"]) > 1


def test_attention_is_timed_in_both_precisions(setup):
    assert [first_column(table) for table in tables("attention", setup())] == [
        ["as it is", "written out", "torch's fused"]
    ] * 2


def test_caches_are_counted_and_agree_with_the_budget(setup):
    [table] = tables("strategies", setup(strategies=["shared", "mqa"]))
    assert first_column(table) == ["separate", "shared", "mqa"]
    for row in table["rows"]:
        *_, produced, promised, source, promised_source = row
        assert (produced, source) == (promised, promised_source)


def test_speedups_are_switched_off_one_by_one(setup):
    translator, language_model, stacked = tables("speedups", setup())
    assert first_column(translator)[0] == "nothing" == first_column(language_model)[0]
    padding = {row[0]: float(row[3].split()[0]) for row in translator["rows"]}
    assert padding["batches of like length"] > 2 * padding["nothing"]
    assert first_column(stacked) == ["stacked", "in turn"]


def test_what_a_speedup_changes_is_small_beside_another_seed(setup):
    [table] = tables("agreement", setup())
    seeds, *others = table["rows"][1:]
    changes = {row[0]: abs(float(row[2])) for row in others}
    assert {"seeds 0 and 1 stacked, seed 0", "without loss in chunks, seed 0", "recomputed, seed 0"} <= changes.keys()
    assert 0 <= max(changes.values()) < abs(float(seeds[2])) / 10


@pytest.mark.parametrize("name", ["language_model", "translator"])
def test_without_other_libraries_a_comparison_says_what_to_do(setup, monkeypatch, name):
    monkeypatch.setattr("ablations.bench.rivals.extras.find_spec", lambda package: None)
    found = tables(name, setup())
    assert all(any(row.startswith("ours") for row in first_column(table)) for table in found)
    notes = " ".join(found[0]["notes"])
    assert "pip install -r requirements-bench.txt" in notes and "git clone https://github.com/" in notes


def test_the_300m_model_trains_and_decodes_at_a_tiny_size(setup):
    training, decoding = tables("paper_300m", setup(strategies=["separate", "k_is_v"], peak=1.0))
    assert first_column(training) == ["separate", "k_is_v"] == first_column(decoding)
    cached = [(row[3], row[4]) for row in decoding["rows"]]
    assert cached == [("256", "256"), ("128", "128")]


def test_the_300m_model_is_refused_on_a_cpu():
    with pytest.raises(ValueError, match="--device cuda"):
        next(iter(runner.find("paper_300m")(Setup(strategies=["separate"]))))


def test_decoding_wants_a_trained_translator():
    with pytest.raises(ValueError, match="--run FILE"):
        next(iter(runner.find("decoding")(Setup())))


def test_every_name_leads_to_a_benchmark():
    for name in names.expand([*names.KNOWN, *names.GROUPS]):
        assert callable(runner.find(name))
    with pytest.raises(ValueError, match="did you mean 'storage'"):
        runner.find("storge")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("storage --quick --save", "leave out --save or --quick"),
        ("storage --rounds 0", "take 1 or more"),
        ("decoding --run nowhere.json", "name the record of a trained translator"),
        ("speedup", "speedups"),
    ],
)
def test_wrong_words_are_told_before_anything_is_measured(monkeypatch, capsys, words, told):
    monkeypatch.setattr("sys.argv", ["scripts/bench.py", *words.split()])
    monkeypatch.setattr(runner, "run", lambda *_: pytest.fail("measured"))
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(CONF.parent / "scripts" / "bench.py"), run_name="__main__")
    torch.set_num_threads(threads)
    assert left.value.code == 1 and told in capsys.readouterr().err


def test_tracking_is_compared_with_none(setup):
    for table in tables("tracking", setup()):
        assert first_column(table)[0] == "no tracking" and len(table["rows"]) == 4
