import csv
import subprocess
import sys
from pathlib import Path

import pytest

from ablations import record as records
from ablations import writers
from ablations.tables import baseline_of, rows
from ablations.writers.grid import p_text
from ablations.writers.power import power_grids
from tests.ablations.make import BLEU, SITE, make_record
from tests.ablations.test_tables import study

SCRIPT = Path(__file__).parents[2] / "scripts" / "tables.py"


def tables(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def store(runs, folder):
    for run in runs:
        records.write(run, folder)


def line_of(markdown, setting):
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"| {setting} ")]
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_the_headline_has_the_columns_of_the_notes_first():
    text = writers.headline(study())
    assert line_of(text, "setting")[:4] == [
        "setting",
        "BLEU (flickr, test)",
        "perplexity (docs, test)",
        "Q, K, V maps (d²)",
    ]
    assert line_of(text, "separate")[1:4] == ["31.00 ± 1.00 (n=3)", "40.00 ± 0.00 (n=3)", "3"]
    shared = line_of(text, "shared")
    assert shared[1:6] == ["29.00 ± 1.00 (n=3)", "45.10 ± 0.10 (n=3)", "1", "100,000 / 50,000", "64"]
    # differences 5, 5.1, 5.2: half-width 4.3027 x 0.1 / sqrt 3 = 0.248
    assert shared[6:8] == ["-2.00 [-2.00, -2.00]", "+5.10 [+4.85, +5.35]"]
    assert BLEU in text and "100 steps of 512 tokens, fp32" in text


def test_accuracy_is_a_percentage_with_two_decimals_and_better_when_higher():
    runs = [
        make_record(name, "opinions", seed, score + seed)
        for name, score in (("separate", 81.5), ("shared", 80))
        for seed in (0, 1)
    ]
    text = writers.headline(runs)
    assert line_of(text, "setting")[1] == "accuracy (opinions, test)" and "perplexity" not in line_of(text, "setting")
    assert line_of(text, "separate")[1] == "82.00 ± 0.71 (n=2)"
    assert line_of(text, "shared")[-2:] == ["-1.50 [-1.50, -1.50]", "worse"]
    assert "higher accuracy" in text and "accuracy" not in writers.headline(study()), "only where it is a column"


def test_one_seed_shows_no_spread_and_no_test():
    text = writers.headline(study(seeds=1))
    assert line_of(text, "shared")[1] == "28.00 (n=1)" and line_of(text, "shared")[6] == "-2.00 (one pair)"
    (grid,) = writers.comparison_grids(rows(study(seeds=1)), study(seeds=1), "separate")
    assert {tuple(line[3:]) for line in grid.body} == {("1", *["—"] * 6, "inconclusive")}
    assert not power_grids(rows(study(seeds=1)), study(seeds=1)), "one pair has no deviation"


def test_lost_runs_stand_in_the_cell():
    runs = [
        *study(),
        make_record("shared", "docs", 3, status="diverged"),
        make_record("q_is_k", "docs", status="failed"),
    ]
    text = writers.headline(runs)
    assert line_of(text, "shared")[2] == "45.10 ± 0.10 (n=3, 1 diverged)"
    assert line_of(text, "q_is_k")[1:3] == ["—", "— (1 failed)"]


def test_a_missing_baseline_is_said():
    text = writers.headline([make_record("shared", seed=seed) for seed in (0, 1)])
    assert "No run of the baseline separate is on record" in text and line_of(text, "shared")[-1] == "—"


def test_the_baseline_is_the_study_s():
    runs = [make_record(name, seed=s, study__baseline="shared") for name in ("separate", "shared") for s in (0, 1)]
    assert line_of(writers.headline(runs), "shared")[-2:] == ["baseline", "—"]
    runs[0]["config"]["study"]["baseline"] = "identity"
    with pytest.raises(ValueError, match="several baselines"):
        writers.headline(runs)


def test_a_record_from_another_study_does_not_choose_the_baseline():
    guest = make_record("separate", study__name="other", study__baseline="identity")
    assert baseline_of([guest, make_record("shared", study__baseline="separate")]) == "separate"
    assert writers.baseline_of is baseline_of


def test_csv_holds_the_plain_numbers(tmp_path):
    store(study(), tmp_path)
    _, file, _ = writers.write(tmp_path, "demo")
    command, *lines = file.read_text().splitlines()
    assert command.startswith("# ") and "python scripts/tables.py --study demo" in command
    found = {(line["setting"], line["task"], line["split"], line["score"]): line for line in csv.DictReader(lines)}
    shared = found["shared", "docs", "test", "token_perplexity"]
    assert float(shared["mean"]) == pytest.approx(45.1) and float(shared["sd"]) == pytest.approx(0.1)
    assert (shared["n"], shared["seeds"], shared["pairs"], shared["p_floor"]) == ("3", "0 1 2", "3", "0.25")
    half = 4.302653 * 0.1 / 3**0.5
    assert float(shared["low"]) == pytest.approx(45.1 - half) and float(shared["high"]) == pytest.approx(45.1 + half)
    assert float(shared["difference_low"]) == pytest.approx(5.1 - half, abs=1e-6)
    assert found["separate", "flickr", "valid", "chrf"]["difference"] == ""


def test_all_scores_of_all_splits_are_in_the_detail(tmp_path):
    store(study(), tmp_path)
    text = writers.write(tmp_path, "demo")[0].read_text()
    detail = text[text.index("## Task flickr") : text.index("## Task docs")]
    for title in ("BLEU", "chrF", "exact match", "perplexity", "word perplexity", "byte perplexity", "bits per byte"):
        assert f"| {title} " in detail
    assert detail.count("| shared ") == 2  # test and valid
    assert "BLEU" not in text[text.index("## Task docs") :]


def test_the_same_records_give_the_same_bytes(tmp_path):
    for folder, runs in ((tmp_path / "a", study()), (tmp_path / "b", study()[::-1])):
        store(runs, folder)
    first, second = ([f.read_bytes() for f in writers.write(tmp_path / name, "demo")] for name in "ab")
    assert first == second
    assert str(tmp_path).encode() not in b"".join(first)


def test_names_cannot_break_a_table(tmp_path):
    nasty = "=1+1|<script>&x_{}$%\\"
    site = {**SITE, "name": nasty}
    runs = [make_record("shared"), make_record(nasty, sites__decoder=site)]
    store(runs, tmp_path)
    markdown, values, tex = (file.read_text() for file in writers.write(tmp_path, "demo"))
    assert "<script>" not in markdown and r"=1+1\|&lt;script&gt;&amp;x" in markdown
    for block in markdown.split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace(r"\|", "").count("|") for line in block.splitlines()}) == 1
    assert [line["setting"] for line in csv.DictReader(values.splitlines()[1:])][0] == "'" + nasty
    assert r"1+1\textbar{}\textless{}script\textgreater{}\&x\_\{\}\$\%\textbackslash{}" in tex


def test_the_script_writes_every_study_and_goes_on_after_a_bad_one(tmp_path):
    store(study(2), tmp_path)
    store([make_record(study="idle", status="failed", seed=9)], tmp_path)
    store([make_record(study="mixed"), make_record(study="mixed", seed=1, trainer__steps=7)], tmp_path)
    done = tables("--results", tmp_path, "--print")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: study mixed: ") and "number of steps" in done.stderr
    assert "idle: no finished run yet" in done.stdout and "| separate |" in done.stdout
    assert sorted(file.name for file in (tmp_path / "tables").iterdir()) == ["demo.csv", "demo.md", "demo.tex"]
    assert tables("--results", tmp_path, "--study", "demo").returncode == 0


def test_the_script_refuses_an_unknown_study_and_says_when_there_is_none(tmp_path):
    assert "no records" in tables("--results", tmp_path).stdout
    done = tables("--results", tmp_path, "--study", "dmeo")
    assert done.returncode == 1 and "no records of study 'dmeo'" in done.stderr and "Traceback" not in done.stderr


def test_tables_need_neither_torch_nor_wandb():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['wandb'] = None\n"
        "from ablations import progress, record, stats, tables, track, writers"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPT.parents[1])


def test_studies_of_several_tasks_stand_side_by_side(tmp_path):
    for task, name in (("flickr", "translation"), ("docs", "language")):
        store([make_record(strategy, task, study=name) for strategy in ("separate", "shared")], tmp_path)
    assert (
        tables("--results", tmp_path, "--study", "translation", "--study", "language", "--join", "both").returncode == 0
    )
    page = (tmp_path / "tables" / "both.md").read_text()
    assert "--study translation --study language --join both" in page
    [row] = [line for line in page.splitlines() if line.startswith("| shared ")][:1]
    assert "BLEU (flickr, test)" in page and "perplexity (docs, test)" in page and row.count("30.00 (n=1)") == 2
    assert tables("--results", tmp_path, "--study", "translation", "--join", "../x").returncode == 1


def test_a_joined_table_does_not_take_the_page_of_a_study(tmp_path):
    store(study(1), tmp_path)
    store([make_record(study="other")], tmp_path)
    with pytest.raises(ValueError, match="demo is a study with a page of its own"):
        writers.write(tmp_path, "demo", "other", name="demo")
    assert not (tmp_path / "tables").exists()
    assert {file.stem for file in writers.write(tmp_path, "demo", "other", name="both")} == {"both"}


def test_a_small_p_reads_in_plain_text_and_a_tag_is_none():
    page = writers.markdown("T", [], [writers.Grid("G", ["p"], [[p_text(1e-6)], ["<b>"]], [])], "c")
    assert "| < 0.0001" in page and "&lt;b&gt;" in page
