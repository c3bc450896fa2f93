"""What the page of a study says, and that no text in it becomes markup."""

import re

import pytest

from ablations import record as records
from ablations.pages import write
from tests.ablations.make import make_record

PLAN = """\
defaults: [{override /task: docs}]
study:
  name: demo
  change: >-
    One matrix as good
    as three.
hydra: {sweeper: {params: {projection: "separate,shared", seed: "0,1,2"}}}
"""
CLAIM = "id: {id}\nquestion: Is one matrix {id}?\nparts: [{{kind: trained, study: {study}}}]\n"
SVG = '<svg role="img">\n <title id="title">Scores (docs)</title>\n <desc id="desc">Dots [n=2]. More.</desc></svg>'
WORDS = {"study__question": "Does it work?", "study__prediction": "Hardly.", "study__margin_perplexity": 0.01}


@pytest.fixture
def conf(tmp_path):
    for group, files in {
        "study": {"demo": PLAN, "later": "study: {name: later}"},
        "task": {"docs": "corpus: {files: {train: docs.txt}}"},
        "claim": {"C01": CLAIM.format(id="C01", study="demo"), "C02": CLAIM.format(id="C02", study="later")},
    }.items():
        (tmp_path / "conf" / group).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    return tmp_path / "conf"


@pytest.fixture
def page(tmp_path, conf):
    """The page of a study, from its records and from files beside them."""

    def made(runs, beside=None):
        for run in runs:
            records.write(run, tmp_path)
        for path, text in (beside or {}).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        _, refusals = write(tmp_path, None, conf)
        assert refusals == []
        return (tmp_path / "studies" / "demo.md").read_text()

    return made


def pairs(strategies=("separate", "shared"), seeds=(0, 1, 2), **extra):
    """Runs of which all but the baseline's are worse."""
    return [
        make_record(name, seed=seed, score=50 + seed + (name != "separate") * (4 + seed / 10), **{**WORDS, **extra})
        for name in strategies
        for seed in seeds
    ]


def test_a_page_answers_its_question(page):
    text = page(pairs())
    assert text.splitlines()[1] == "# Does it work?"
    assert "Study demo, 6 runs: 6 finished; strategies separate and shared; seeds 0, 1 and 2; task docs;" in text
    assert "**Expected:** Hardly.\n" in text
    assert "**Costs little:** within 1 % of perplexity.\n" in text
    (found,) = re.findall(r"^- shared instead of separate.*", text, re.M)
    assert "docs, test: perplexity +4.10 (+8.0 %), 95 % interval +3.85 to +4.35, 3 seeds; " in found
    assert found.endswith("verdict: worse.")
    assert "Partial" not in text


def test_more_findings_than_one_reads_stand_in_a_table(page):
    rates = [run for number in range(1, 10) for run in pairs(("shared",), optim__lr=number / 1000)]
    text = page([*pairs(("separate",)), *rates])
    assert "instead of separate on" not in text
    assert (
        len(re.findall(r"^\| shared, optim.lr=\S+ +\| \+4\.10 \(\+8\.0 %\) \| \+3\.85 to \+4\.35 \| 3 ", text, re.M))
        == 9
    )
    assert "All instead of separate, optim.lr=0.001 on perplexity (docs, test)." in text


def test_tables_of_every_test_and_cost_stay_on_their_own_page(page):
    rates = [run for lr in (1e-3, 2e-3) for run in pairs(optim__lr=lr)]
    text = page(rates, {"tables/demo.md": "", "tables/demo.csv": ""})
    headings = re.findall(r"^### (.*)", text, re.M)
    assert headings == ["Headline", "optim.lr by strategy: perplexity (docs, test)", "Learning rates: docs"]
    assert "[Markdown](../tables/demo.md), [CSV](../tables/demo.csv)." in text
    assert "LaTeX" not in text and "../comparisons" not in text  # no such file


def test_a_study_that_is_not_whole_says_what_is_missing(page):
    assert "**Partial:** 1 of 6 planned runs has no record: projection=shared seed 2.\n" in page(pairs()[:-1])


def test_lost_runs_are_counted_and_stand_beside_the_verdict(page):
    lost = make_record("shared", seed=2, status="diverged", **WORDS)
    text = page([*pairs()[:-1], lost])
    assert "6 runs: 5 finished, 1 diverged;" in text
    assert ", 2 seeds; verdict: worse; 1 diverged." in text


def test_one_seed_has_no_verdict(page):
    text = page(pairs(seeds=(0,), study__margin_perplexity=None))
    assert "perplexity +4.00 (+8.0 %) of one seed, which has no interval and was not tested." in text
    assert "verdict:" not in text
    assert "Not tested, since one seed has no interval: shared." in text
    assert "No margin is fixed for perplexity" in text
    assert "**Costs little:** no margin was fixed.\n" in text


def test_forms_of_the_baseline_alone_have_no_verdict(page):
    text = page([run for heads in (2, 4) for run in pairs(("separate",), model__heads=heads)])
    assert "No verdict: every setting is one of the baseline separate" in text


def test_words_that_have_changed_say_of_which_runs(page):
    early, late = pairs()[:2], pairs(study__prediction="Surely.")[2:]
    text = page(
        [*(run | {"started": "2026-01-01"} for run in early), *(run | {"started": "2026-02-02"} for run in late)]
    )
    assert "**Expected:** Hardly. (So 2 of 6 runs.) Surely. (So 4 of 6 runs.)\n" in text


def test_words_that_were_there_before_the_runs_are_not_said_to_be_later(page):
    words = "One matrix as good as three."
    said = "## What would change our mind\n\nOne matrix as good as three."
    assert f"{said}\n" in page(pairs(study__change=words))
    some = [*pairs(seeds=(0,), study__change=words), *pairs(seeds=(1, 2))]
    assert f"{said} (Written after 4 of the 6 runs.)\n" in page(some)


def test_a_margin_that_some_runs_lack_is_said_piece_by_piece(page):
    text = page([*pairs(seeds=(0,), study__margin_perplexity=None), *pairs(seeds=(1, 2))])
    assert "no margin was fixed. (So 2 of 6 runs.)" in text
    assert "within 1 % of perplexity. (So 4 of 6 runs.)" in text


def test_runs_that_another_study_made_are_counted(page):
    """They were made before the words of this one."""
    runs = [run | {"overrides": [f"study={'sharing' if run['seed'] else 'demo'}"]} for run in pairs()]
    assert "; 4 taken over from other studies" in page(runs)


def test_a_page_leads_to_its_records_and_its_plan(page):
    assert "[records](../records/demo/) · [its file](../../conf/study/demo.yaml) · [all studies](README.md)" in page(
        pairs()
    )


def test_figures_are_shown_or_linked_and_only_those_that_are_there(page):
    text = page(pairs(), {"figures/demo/docs-dots.svg": SVG, "figures/demo/docs-maps-decoder.0.self.svg": SVG})
    assert re.findall(r"^!\[.*", text, re.M) == ["![Scores (docs). Dots (n=2).](../figures/demo/docs-dots.svg)"]
    assert "Also drawn: [Scores (docs)](../figures/demo/docs-maps-decoder.0.self.svg)." in text


def test_claims_are_linked_with_the_verdict_of_their_page(page):
    assert "- C01 (no page yet): Is one matrix C01?" in page(pairs())
    text = page([], {"claims/C01.md": "# C01. Is it?\n\n**Partly.** A reason.\n"})
    assert "- [C01](../claims/C01.md) **partly**: Is one matrix C01?" in text
    assert "C02" not in text


def test_what_would_change_our_mind_and_the_commands_are_those_of_the_file(page, conf):
    file = conf / "study" / "demo.yaml"
    file.write_text(file.read_text().replace("hydra:", "  more: [projection=k_is_v optim.lr=1e-2]\nhydra:"))
    text = page(pairs(study__change="Something older."))
    assert "## What would change our mind\n\nOne matrix as good as three. (Written after the runs.)\n" in text
    assert "**Partial:** 3 of 9 planned runs have no record: projection=k_is_v, optim.lr=1e-2 seed 0, 1, 2." in text
    (commands,) = re.findall(r"```sh\n(.*?)\n```", text, re.S)
    assert commands.splitlines() == [
        "python train.py study=demo paths.corpora=FOLDER",
        "python train.py study=demo projection=k_is_v optim.lr=1e-2 paths.corpora=FOLDER",
        *(f"python scripts/{name}.py --study demo" for name in ("tables", "figures", "pages")),
    ]


def test_the_cost_is_told_with_machine_versions_and_commits(page):
    facts = {
        "seconds": 90.0,
        "machine": {"name": "A", "device": "cpu", "threads": 1},
        "versions": {"torch": "2.9", "python": "3.12"},
        "code": {"commit": "a" * 40, "dirty": False},
    }
    text = page([run | facts for run in pairs()])
    assert "**Cost:** 9 min in all, 90 s to 90 s a run, by the clock" in text
    assert "Machine: A, one thread (6 runs)." in text
    assert "**Made by:** torch 2.9, python 3.12; commit aaaaaaaaaaaa (6 runs).\n" in text


def test_hostile_texts_stay_text(page):
    hostile = "a | b\n\n# <script>alert(1)</script> [here](http://x) *bold*"
    text = page(pairs(study__question=hostile, study__prediction=hostile, model__activation=hostile))
    assert "<script" not in text and "](http" not in text and " *bold" not in text
    assert text.splitlines()[1] == r"# a \| b # &lt;script&gt;alert(1)&lt;/script&gt; [here]\(http://x) \*bold\*"
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.replace(r"\|", "").count("|") for line in table.splitlines()}) == 1


def test_a_study_that_no_file_plans_has_the_commands_of_its_runs(page, conf):
    (conf / "study" / "demo.yaml").unlink()
    text = page([run | {"command": f"python train.py seed={run['seed']}\n```"} for run in pairs()])
    assert "Its runs were made by 3 commands." in text
    assert "python train.py seed=1 ```\n" in text
    assert "What would change" not in text
