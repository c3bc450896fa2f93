"""Comparisons over seeds and units from records, whose units are made up."""

import csv
import runpy

import numpy as np
import pytest

from ablations import comparisons
from ablations import record as records
from ablations.bench.nulls import World, make
from ablations.compose import CONF
from ablations.stats import checkpoints, crossed
from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY
from ablations.stats.units import stretches
from ablations.units import pack_all
from tests.ablations.make import make_record

WORLDS = {"flickr": BLEU, "docs": PERPLEXITY, "opinions": ACCURACY}


def fields(task, units):
    """As `evaluator.score` has them, from statistics [N, K]."""
    if task == "flickr":
        return {"bleu": units[:, :6].astype(np.int16)}
    if task == "docs":
        return {"nll": units[:, 0].astype(np.float32), "tokens": units[:, 1].astype(np.int32)}
    return {"right": (units[:, 0] / 100).astype(np.uint8)}


def with_units(strategy, task, seed, units, **given):
    """A record whose scores are what its units give."""
    value = float(WORLDS[task].value(units.sum(0)))
    run = make_record(strategy, task, seed, np.exp(value) if task == "docs" else value, **given)
    run["units"] = {split: pack_all(fields(task, units)) for split in run["scores"]}
    return run


def study(task="flickr", seeds=4, units=120, shift=0.1, strategies=("shared", "separate"), **given):
    world = World(WORLDS[task], 0.02, 0.1, units)
    data = make(world, np.random.default_rng(0), 1, len(strategies), seeds, shift)[0]
    if task == "docs":  # as a record keeps them
        data = data.astype(np.float32).astype(float)
    runs = [
        with_units(strategy, task, seed, data[arm, seed], **given)
        for arm, strategy in enumerate(strategies)
        for seed in range(seeds)
    ]
    return runs, data


def written(tmp_path, runs, **given):
    for run in runs:
        records.write(run, tmp_path)
    files = comparisons.write(tmp_path, "demo", **given)
    return {file.suffix[1:]: file.read_text() for file in files}


def lines(text):
    return list(csv.DictReader(text.splitlines()[1:]))


@pytest.mark.parametrize(
    ("task", "score"), [("flickr", "bleu"), ("docs", "token_perplexity"), ("opinions", "accuracy")]
)
def test_every_kind_of_task_is_compared(tmp_path, task, score):
    runs, data = study(task)
    found = lines(written(tmp_path, runs, splits=["test"])["csv"])
    over, *between = [line for line in found if line["score"] == score]
    if task == "docs":
        data = stretches(data)
    expected = crossed.crossed(crossed.differences(WORLDS[task], *data))
    assert float(over["difference"]) == pytest.approx(expected.value)
    assert (float(over["low"]), float(over["high"])) == pytest.approx((expected.low, expected.high))
    assert [line["seeds"] for line in between] == ["0", "1", "2", "3"]
    p = checkpoints.randomised(WORLDS[task], data[0, 2], data[1, 2])
    assert float(between[2]["p_randomised"]) == p
    assert bool(between[0]["p_sacrebleu_bootstrap"]) == (task == "flickr")


def test_windows_of_text_are_joined_and_sentences_are_not(tmp_path):
    assert {line["units"] for line in lines(written(tmp_path, study("docs")[0])["csv"])} == {"100"}
    assert {line["units"] for line in lines(written(tmp_path / "other", study()[0])["csv"])} == {"120"}


def test_pages_say_what_is_a_statement_about_what(tmp_path):
    page = written(tmp_path, study()[0])["md"]
    _, *tables = page.split("\n## ")
    assert [table.splitlines()[0] for table in tables] == [
        f"BLEU (flickr, {split}): {what}"
        for split in ("test", "valid")
        for what in ("over seeds and sentences", "two checkpoints at a time, no statement about architectures")
    ]
    assert "Statements about these two checkpoints, not about the architectures" in tables[1]
    assert "Statements about these two checkpoints" not in tables[0]


def test_the_same_records_give_the_same_bytes(tmp_path):
    runs, _ = study(units=40)
    assert written(tmp_path / "one", runs) == written(tmp_path / "two", runs[::-1])


def test_holm_and_verdict_are_of_the_settings_of_a_table(tmp_path):
    runs, _ = study(shift=0.5, strategies=("shared", "separate", "k_is_v", "q_is_k"))
    over = [line for line in lines(written(tmp_path, runs, splits=["test"])["csv"]) if line["error"]]
    by_setting = {line["setting"]: line for line in over}
    assert by_setting.keys() == {"shared", "k_is_v", "q_is_k"}
    smallest = min(over, key=lambda line: float(line["p"]))
    assert float(smallest["p_holm"]) == pytest.approx(3 * float(smallest["p"]))
    assert by_setting["shared"]["verdict"] == "better" and float(by_setting["shared"]["difference"]) > 0


def test_a_margin_of_the_study_makes_equivalence_possible(tmp_path):
    runs, _ = study(shift=0.0)
    for run in runs:
        run["config"]["study"]["margin_bleu"] = 20.0
    [over, *_] = lines(written(tmp_path, runs, splits=["test"])["csv"])
    assert over["verdict"] == "equivalent" and float(over["margin"]) == 20.0
    assert float(over["p_equivalent"]) < 0.05 and float(over["low90"]) > -20


def test_with_a_diverged_run_nothing_is_praised(tmp_path):
    runs, _ = study(shift=0.5)
    runs.append(make_record("shared", "flickr", 9, status="diverged"))
    [over, *_] = lines(written(tmp_path, runs, splits=["test"])["csv"])
    assert float(over["p"]) < 0.05 and over["verdict"] == "inconclusive"


@pytest.mark.parametrize(("shift", "word"), [(0.5, "better"), (-0.5, "inconclusive")])
def test_a_diverged_run_of_the_baseline_condemns_nothing(tmp_path, shift, word):
    runs, _ = study(shift=shift)
    runs.append(make_record("separate", "flickr", 9, status="diverged"))
    found = written(tmp_path, runs, splits=["test"])
    [over, *_] = lines(found["csv"])
    assert float(over["p"]) < 0.05 and over["verdict"] == word
    assert "Runs of a baseline that diverged: separate (1). Nothing is worse than it or equivalent" in found["md"]


def one_window(score):
    """Like `docs`, of a text that fits into one window on the test split."""
    runs, data = study("docs", seeds=2)
    for index, run in enumerate(runs):
        units = data[index // 2, index % 2]
        total = units.sum(0, keepdims=True)
        run["units"]["test"] = pack_all(fields("docs", total))
        if score == "all":
            run["units"]["valid"] = run["units"]["test"]
    return runs


def test_a_split_of_one_unit_is_left_out_and_named(tmp_path):
    found = written(tmp_path, one_window("test"))
    assert "Not compared, as one unit says nothing about others: perplexity (docs, test)." in found["md"]
    assert {line["split"] for line in lines(found["csv"])} == {"valid"}


def test_of_one_unit_alone_no_page_is_made(tmp_path):
    assert written(tmp_path, one_window("all")) == {}
    assert "one unit says nothing about others" in comparisons.nothing(tmp_path, "demo")


def test_one_pair_gives_no_interval(tmp_path):
    found = written(tmp_path, study(seeds=1)[0], splits=["test"])
    over, between = lines(found["csv"])
    assert over["low"] == "" and over["verdict"] == "inconclusive" and between["low"] != ""
    assert "(one pair)" in found["md"]


def test_records_without_units_are_named_and_left_out(tmp_path):
    runs, _ = study(units=40)
    del runs[1]["units"]
    found = written(tmp_path, runs, splits=["test"])
    assert lines(found["csv"])[0]["seeds"] == "0 2 3"
    assert f"1 finished run without units on record, in none of these tables: {name(runs[1])}" in found["md"]
    assert "Pairs of seeds left out, for want of units: shared (1)" in found["md"]


def test_nothing_is_written_where_no_record_has_units(tmp_path):
    runs, _ = study(units=40)
    for run in runs:
        del run["units"]
    assert written(tmp_path, runs) == {} and not (tmp_path / "comparisons").exists()


def name(run):
    return f"{records.label(run['config'])}-{run['signature']}"


def test_units_that_do_not_give_the_score_are_refused(tmp_path):
    runs, _ = study(units=40)
    runs[0]["units"] = runs[1]["units"]
    with pytest.raises(ValueError, match=f"{name(runs[0])}: its units give .* evaluate it again"):
        written(tmp_path, runs)


def test_units_of_another_text_are_refused(tmp_path):
    runs = study(units=40)[0][:4] + study(units=41)[0][4:]
    with pytest.raises(ValueError, match="scored on 40 and 41 units of flickr, test"):
        written(tmp_path, runs)


def test_damaged_units_are_told_with_the_run(tmp_path):
    runs, _ = study(units=40)
    packed = runs[0]["units"]["test"]["bleu"]
    runs[0]["units"]["test"]["bleu"] = packed[:-5]
    with pytest.raises(ValueError, match=f"{name(runs[0])}, test: packed units cannot be read"):
        written(tmp_path, runs)


def test_each_baseline_of_an_equal_rest(tmp_path):
    runs = [*study(units=40, seeds=2)[0], *study(units=40, seeds=2, optim__lr=0.01)[0]]
    over = [line for line in lines(written(tmp_path, runs, splits=["test"])["csv"]) if line["error"]]
    assert [(line["setting"], line["against"]) for line in over] == [
        (f"shared, optim.lr={rate}", f"separate, optim.lr={rate}") for rate in ("0.001", "0.01")
    ]


def shell(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["scripts/compare.py", *words])
    code = 0
    try:
        runpy.run_path(str(CONF.parent / "scripts" / "compare.py"), run_name="__main__")
    except SystemExit as left:
        code = left.code
    return code, *capsys.readouterr()


def test_command_line(tmp_path, monkeypatch, capsys):
    for run in study(units=40)[0]:
        records.write(run, tmp_path)
    where = ["--results", str(tmp_path), "--study", "demo"]
    code, out, _ = shell(monkeypatch, capsys, *where)
    assert code == 0 and "comparisons/demo.md" in out
    page = (tmp_path / "comparisons" / "demo.md").read_text()
    assert page.startswith("<!-- Made by `python scripts/compare.py --study demo` from records alone")
    code, _, err = shell(monkeypatch, capsys, *where, "--split", "tset")
    assert code == 1 and err == "error: no run of study demo was scored on 'tset' (known: test, valid)\n"
    code, _, err = shell(monkeypatch, capsys, "--results", str(tmp_path), "--study", "other")
    assert code == 1 and "no records of study 'other'" in err


def test_a_page_of_one_split_leaves_the_whole_one(tmp_path, monkeypatch, capsys):
    for run in study(units=40)[0]:
        records.write(run, tmp_path)
    where = ["--results", str(tmp_path), "--study", "demo"]
    shell(monkeypatch, capsys, *where)
    whole = (tmp_path / "comparisons" / "demo.md").read_bytes()
    code, out, _ = shell(monkeypatch, capsys, *where, "--split", "test")
    assert code == 0 and "comparisons/demo-test.md" in out
    part = (tmp_path / "comparisons" / "demo-test.md").read_text()
    assert "compare.py --study demo --split test`" in part and "# Comparisons of study demo on test\n" in part
    assert "valid" not in part and (tmp_path / "comparisons" / "demo.md").read_bytes() == whole
    records.write(make_record("separate", "flickr", study="demo-test"), tmp_path)
    code, _, err = shell(monkeypatch, capsys, *where, "--split", "test")
    assert code == 1 and "demo-test is a study with a page of its own" in err


def test_a_study_without_the_split_keeps_no_other_from_its_page(tmp_path, monkeypatch, capsys):
    for run in study(units=40)[0]:
        records.write(run, tmp_path)
    without = make_record("separate", "flickr", study="other")
    without["scores"].pop("test")
    records.write(without, tmp_path)
    code, out, _ = shell(monkeypatch, capsys, "--results", str(tmp_path), "--split", "test")
    assert code == 0 and "demo-test.md" in out and "other: not scored on test, nothing to compare" in out
    code, _, err = shell(monkeypatch, capsys, "--results", str(tmp_path), "--split", "tset")
    assert code == 1 and "no run of these studies was scored on 'tset'" in err


def test_why_there_is_nothing_is_said(tmp_path, monkeypatch, capsys):
    runs, _ = study(units=40)
    for run in runs:
        del run["units"]
        records.write(run, tmp_path)
    where = ["--results", str(tmp_path), "--study", "demo"]
    code, out, _ = shell(monkeypatch, capsys, *where)
    assert code == 0 and "made before units" in out and "`python train.py study=demo rerun=true`" in out
    records.write(make_record("separate", "flickr", study="lost", status="diverged"), tmp_path)
    assert "no finished run yet" in comparisons.nothing(tmp_path, "lost")
    [one, *_] = study(units=40, strategies=("separate", "shared"))[0]
    records.write({**one, "study": "alone"}, tmp_path)
    assert "no setting and its baseline have units of a common seed" in comparisons.nothing(tmp_path, "alone")


def test_a_setting_of_which_all_runs_diverged_is_listed_and_stays_in_the_family(tmp_path):
    runs, _ = study()
    by_itself = lines(written(tmp_path / "one", runs, splits=["test"])["csv"])[0]
    lost = [make_record("k_is_v", "flickr", seed, status="diverged") for seed in range(2)]
    found = written(tmp_path / "two", [*runs, *lost], splits=["test"])
    gone, over = (line for line in lines(found["csv"]) if line["table"] == "over seeds and units")
    assert (gone["setting"], gone["seeds"], gone["difference"], gone["verdict"]) == ("k_is_v", "", "", "diverged")
    assert float(over["p_holm"]) == pytest.approx(2 * float(by_itself["p_holm"]))
    (line,) = [line for line in found["md"].splitlines() if line.startswith("| k_is_v")]
    assert [part.strip() for part in line.split("|")][3:6] == ["0", "—", "— (2 diverged)"]


def test_settings_without_a_baseline_are_named(tmp_path):
    runs, _ = study(units=40, seeds=2)
    runs += study(units=40, seeds=2, strategies=("separate", "q_is_k"), optim__lr=0.01)[0]
    runs += study(units=40, seeds=2, strategies=("k_is_v",), optim__lr=0.1)[0]
    page = written(tmp_path, runs, splits=["test"])["md"]
    assert "agrees in all but the sizes of a control: k_is_v, optim.lr=0.1." in page


def test_that_there_is_no_baseline_is_why_there_is_nothing(tmp_path):
    runs, _ = study(units=40, strategies=("shared",))
    assert written(tmp_path, runs) == {}
    assert "No run of the baseline separate is on record" in comparisons.nothing(tmp_path, "demo")


def test_a_page_of_records_that_are_gone_is_named(tmp_path, monkeypatch, capsys):
    runs, _ = study(units=40, seeds=2)
    for run in runs:
        records.write(run, tmp_path)
    where = ["--results", str(tmp_path), "--study", "demo"]
    assert shell(monkeypatch, capsys, *where)[0] == 0
    for run in runs:
        del run["units"]
        records.write(run, tmp_path)
    code, _, err = shell(monkeypatch, capsys, *where)
    assert code == 1 and "made before units" in err
    assert f"of records that are gone, to be removed: {tmp_path / 'comparisons' / 'demo.md'}, " in err
