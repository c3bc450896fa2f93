"""A finished run trained again from its record: identical, or what differs; every mistake one sentence."""

import json
import sys
import tempfile
from pathlib import Path

import pytest

from ablations import provenance, record, reproduce
from ablations.config import RunConfig
from scripts import reproduce as script
from tests.ablations.cells import do
from tests.ablations.make import make_record, rewrite

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the file of a finished run's record holds; its curve has lines for steps 2, 3, 4 and 6."""
    results = tmp_path_factory.mktemp("results")
    do(cache, results, "trainer.steps=6", "trainer.log_every=2", "trainer.threads=1")
    [file] = results.glob("records/*/*.json")
    return file.read_bytes()


@pytest.fixture
def file(finished: bytes, tmp_path: Path) -> Path:
    """The record alone, without the run's weights, to be changed."""
    folder = tmp_path / "results" / "records" / "scratch"
    folder.mkdir(parents=True)
    signature = json.loads(finished)["signature"]
    (folder / f"run-{signature}.json").write_bytes(finished)
    return folder / f"run-{signature}.json"


@pytest.fixture
def room(tmp_path: Path, monkeypatch) -> Path:
    """Where temporary folders are made."""
    (tmp_path / "room").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "room"))
    return tmp_path / "room"


def change(file: Path, edit) -> None:
    """The record edited by somebody who seals it again."""

    def edited(text: str) -> str:
        entry = json.loads(text)
        edit(entry)
        return json.dumps(entry)

    rewrite(file, edited)


def asked(monkeypatch, *arguments: object) -> int:
    """The exit code of the script."""
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *map(str, arguments)])
    try:
        script.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_a_run_comes_out_the_same_to_the_last_bit(file: Path, room: Path, monkeypatch, capsys):
    before = file.read_bytes()
    signature = json.loads(before)["signature"]
    assert asked(monkeypatch, signature[:6], "--results", file.parents[2]) == 0
    out = capsys.readouterr().out
    assert "scores of valid, test: identical" in out and "curve of 4 lines: identical" in out
    assert "translations of 8 kept: identical" in out and "every score is identical" in out
    assert list(room.iterdir()) == [] and [one for one in file.parents[2].rglob("*.json")] == [file]
    assert file.read_bytes() == before and "git worktree" not in out


def test_an_edited_score_is_told_with_both_numbers_and_the_new_record_is_kept(
    file: Path, room: Path, monkeypatch, capsys
):
    was = json.loads(file.read_text())["scores"]["test"]["nll"]

    def edit(entry):
        entry["scores"]["test"]["nll"] = 2 * was
        del entry["scores"]["test"]["exact_match"]
        entry["code"]["commit"], entry["command"] = "c" * 40, "python train.py seed=0"

    change(file, edit)
    assert asked(monkeypatch, file) == 1
    out = capsys.readouterr().out
    assert "scores of valid, test: 1 differ" in out and f"test nll: {2 * was} then, {was} now (relative 0.5)" in out
    assert "not on record then, so not compared: exact_match" in out and "not every score came out the same" in out
    [kept] = room.iterdir()
    assert f"kept: {kept}" in out
    assert f"git worktree add FOLDER {'c' * 40}, and in it python train.py seed=0" in out
    assert record.load_all(kept)[0]["scores"]["test"]["nll"] == was


def test_a_curve_alone_is_told_and_kept_though_all_scores_are_the_same(file: Path, room: Path, monkeypatch, capsys):
    def edit(entry):
        entry["curve"][1]["loss"] += 1e-9
        entry["samples"][0]["hypothesis"] = "0 0 0 0"

    change(file, edit)
    assert asked(monkeypatch, file) == 0
    out = capsys.readouterr().out
    assert "curve of 4 lines: 1 differ" in out and "step 3 loss: " in out
    assert "0 hypothesis: 0 0 0 0 then" in out and "every score is identical" in out
    assert len(list(room.iterdir())) == 1


def test_what_was_otherwise_is_told_before_the_training(file: Path, room: Path, monkeypatch, capsys):
    def edit(entry):
        entry["machine"]["name"], entry["versions"]["torch"] = "Abacus", "0.1"
        entry["training"]["stack"] = 8

    change(file, edit)
    monkeypatch.setattr(provenance, "code", lambda: {"commit": "f" * 40, "dirty": False})

    def stop(config: RunConfig, overrides: list[str]) -> None:
        raise ValueError("it would be trained now")

    monkeypatch.setattr(reproduce, "run", stop)
    with pytest.raises(ValueError, match="would be trained"):
        reproduce.reproduce(file)
    out = capsys.readouterr().out
    assert "machine name: Abacus then" in out and "versions torch: 0.1 then" in out and "stack: 8 then, 1 now" in out
    assert f"{'f' * 40} now" in out and "capability" not in out
    assert list(room.iterdir()) == [], "nothing is left of what was not trained"


def test_the_run_is_the_record_s_on_the_record_s_threads_and_told_to_nobody(file: Path, room: Path, monkeypatch):
    def edit(entry):
        entry["machine"]["threads"], entry["config"]["trainer"]["threads"] = 2, None
        entry["config"]["tracking"]["name"], entry["config"]["rerun"] = "wandb", True
        entry["config"]["paths"]["corpora"] = "/nowhere"

    change(file, edit)
    found = []

    def keep(config: RunConfig, overrides: list[str]) -> None:
        found.append(config)
        raise ValueError("enough")

    monkeypatch.setattr(reproduce, "run", keep)
    for corpora in (None, "/here"):
        with pytest.raises(ValueError, match="enough"):
            reproduce.reproduce(file, corpora)
    first, second = found
    assert (first.trainer.threads, first.trainer.device, first.tracking.name, first.rerun) == (2, "cpu", "none", False)
    assert (first.trainer.steps, first.model.d_model, first.study.name) == (6, 32, "scratch"), "not those of conf/"
    assert (first.paths.corpora, second.paths.corpora) == ("/nowhere", "/here")
    assert Path(first.paths.results).parent == room


def diverged(entry) -> None:
    entry["status"] = "diverged"


def on_a_gpu(entry) -> None:
    entry["machine"] |= {"device": "cuda", "name": "H200"}


def of_another_text(entry) -> None:
    entry["data"]["digest"] = "0" * 16


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (diverged, "is of a run that diverged: it has no scores"),
        (on_a_gpu, r"was made on a GPU \(H200\), and torch finds none here"),
        (of_another_text, "was made from another text than reverse is here"),
    ],
)
def test_what_cannot_be_made_again_is_refused(file: Path, room: Path, monkeypatch, capsys, edit, words: str):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    change(file, edit)
    with pytest.raises(ValueError, match=words):
        reproduce.reproduce(file)
    assert asked(monkeypatch, file) == 1 and capsys.readouterr().err.startswith("error: ")


def records_of(results: Path) -> dict[str, Path]:
    """Signature -> file: three finished runs of study `one`, of which a GPU made one, one of `two` that diverged."""
    made = [
        make_record(seed=seed, study=study, status=status) | {"machine": {"device": device, "name": "any"}}
        for seed, study, status, device in (
            (0, "one", "finished", "cpu"),
            (1, "one", "finished", "cpu"),
            (2, "one", "finished", "cuda"),
            (3, "two", "diverged", "cpu"),
        )
    ]
    return {entry["signature"]: record.write(entry, results) for entry in made}


def test_a_signature_may_be_short_but_not_too_short(tmp_path: Path, monkeypatch, capsys):
    found = records_of(tmp_path)
    for signature, file in found.items():
        assert reproduce.chosen(tmp_path, signature) == reproduce.chosen(tmp_path, str(file)) == file
    with pytest.raises(ValueError, match="4 runs have a signature that begins with ''"):
        reproduce.chosen(tmp_path, "")
    assert asked(monkeypatch, "xyz", "--results", tmp_path) == 1
    assert "no record under" in capsys.readouterr().err
    signature = next(iter(found))
    copy = record.write(record.copy_for(record.load(found[signature]), {"name": "another"}), tmp_path)
    assert (
        reproduce.chosen(tmp_path, signature) == copy
        and reproduce.chosen(tmp_path, signature, "one") == found[signature]
    )


def test_a_draw_is_of_finished_runs_that_this_machine_can_make(tmp_path: Path, monkeypatch):
    found = records_of(tmp_path)
    files = list(found.values())
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    drawn = [reproduce.drawn(tmp_path, seed) for seed in range(20)]
    assert set(drawn) == set(files[:2]) and drawn == [reproduce.drawn(tmp_path, seed) for seed in range(20)]
    with pytest.raises(ValueError, match="no finished run to draw from"):
        reproduce.drawn(tmp_path, 0, "two")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert {reproduce.drawn(tmp_path, seed, "one") for seed in range(20)} == set(files[:3])


@pytest.mark.parametrize("words", [[], ["abc", "--random", "1"]])
def test_one_run_is_named_or_drawn(monkeypatch, capsys, words: list[str]):
    assert asked(monkeypatch, *words) == 1
    assert "name one run by its signature or file, or draw one" in capsys.readouterr().err


def test_differences_are_leaf_by_leaf_and_gone_is_one():
    then = {"a": {"x": 1.0, "y": [1, 2]}, "b": "word", "c": None}
    assert list(reproduce.differing(then, {**then, "new": 3})) == []
    found = list(reproduce.differing(then, {"a": {"x": 1.5, "y": [1]}, "b": "other"}))
    assert found == [("a x", 1.0, 1.5), ("a y 1", 2, None), ("b", "word", "other")]
    assert [reproduce.told(one) for one in found] == [
        "a x: 1.0 then, 1.5 now (relative 0.5)",
        "a y 1: 2 then, nothing now",
        "b: word then, other now",
    ]
