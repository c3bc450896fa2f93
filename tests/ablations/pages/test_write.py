"""All pages and their index: which there are, in which order, the same each time."""

import re
import subprocess
import sys

from ablations import record as records
from ablations.compose import CONF
from ablations.pages import write
from tests.ablations.make import make_record


def make(folder, *studies, **extra):
    for name in studies:
        for strategy in ("separate", "shared"):
            for seed in (0, 1):
                run = make_record(strategy, seed=seed, score=50 + seed, study=name, study__name=name, **extra)
                records.write(run | {"seconds": 90.0}, folder)


def plan(folder, *studies):
    (folder / "study").mkdir(parents=True)
    for name in studies:
        (folder / "study" / f"{name}.yaml").write_text(f"study: {{name: {name}}}")
    return folder


def texts(folder):
    return {file.name: file.read_bytes() for file in (folder / "studies").iterdir()}


def script(*options):
    return subprocess.run(
        [sys.executable, "scripts/pages.py", *map(str, options)], cwd=CONF.parent, capture_output=True, text=True
    )


def test_the_index_lists_the_headline_first_and_what_was_not_run_last(tmp_path):
    make(tmp_path, "alike", "wikitext2", "headline_b", "multi30k_headline", "headline", study__question="Is | it?")
    make(tmp_path, "scratch")
    write(tmp_path, None, plan(tmp_path / "conf", "alike", "one_full", "later"))
    text = (tmp_path / "studies" / "README.md").read_text()
    order = re.findall(r"^\| \[(\w+)\]\(\1\.md\)", text, re.M)
    assert order == ["headline", "headline_b", "multi30k_headline", "wikitext2", "alike"]
    assert r"| [alike](alike.md) | Is \| it? | 4 runs: 4 finished | inconclusive 1 | 6 |" in text
    assert text.endswith("Planned in conf/study and not run: `later` and `one_full`.\n")
    assert "scratch" not in text and "scratch.md" not in texts(tmp_path)


def test_the_same_records_give_the_same_bytes(tmp_path):
    make(tmp_path, "a", "b")
    conf = plan(tmp_path / "conf")
    write(tmp_path, None, conf)
    first = texts(tmp_path)
    write(tmp_path, None, conf)
    assert texts(tmp_path) == first and set(first) == {"a.md", "b.md", "README.md"}


def test_one_study_leaves_the_other_pages_and_the_index_is_of_all(tmp_path):
    make(tmp_path, "a", "b")
    written, _ = write(tmp_path, ["a"], plan(tmp_path / "conf"))
    assert [path.name for path in written] == ["a.md", "README.md"]
    assert b"[b](b.md)" in texts(tmp_path)["README.md"]


def test_pages_of_studies_that_are_gone_go_and_no_other_file(tmp_path):
    make(tmp_path, "a", "b")
    conf = plan(tmp_path / "conf")
    write(tmp_path, None, conf)
    (tmp_path / "studies" / "notes.md").write_text("by hand")
    for file in (tmp_path / "records" / "b").iterdir():
        file.unlink()
    write(tmp_path, None, conf)
    assert set(texts(tmp_path)) == {"a.md", "README.md", "notes.md"}


def test_a_study_without_a_table_is_told_and_keeps_no_other_from_its_page(tmp_path):
    make(tmp_path, "a", "b")
    records.write(make_record("k_is_v", study="a", study__name="a", trainer__steps=7), tmp_path)
    (tmp_path / "records" / "b" / "broken.json").write_text("{")
    make(tmp_path, "c")
    written, refusals = write(tmp_path, None, plan(tmp_path / "conf"))
    assert [path.name for path in written] == ["a.md", "c.md", "README.md"]
    assert [sentence.split(":")[0] for sentence in refusals] == ["study a", "study b"]
    assert b"No table: " in texts(tmp_path)["a.md"]
    assert b"| b | \xe2\x80\x94 | 0 runs | no table |" in texts(tmp_path)["README.md"]


def test_an_unknown_study_is_refused_in_a_sentence(tmp_path):
    make(tmp_path, "a")
    refused = script("--results", tmp_path, "--study", "b")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"error: no records of study 'b' under {tmp_path} (known: a)\n"
