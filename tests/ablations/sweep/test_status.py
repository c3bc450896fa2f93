"""What a person is told of a study while it runs: every cell once, how it is, how far, and why."""

import json
from types import SimpleNamespace

import pytest
import torch

from ablations import record
from ablations.files import locked
from ablations.sweep import batch, frozen, jobs, show, status, together
from ablations.sweep.plan import plan
from tests.ablations.make import make_record


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs.shutil, "which", lambda _: None)
    words = ["seed=range(0,6)", "study.name=night", "trainer.steps=100", "trainer.precision=fp32"]
    found = plan([*words, f"paths.results={tmp_path}"])
    for cell in found[:5]:
        frozen.Freezer().freeze(cell)
    return found


def logged(cell, text):
    (cell.folder / "metrics.jsonl").write_text(text)


def test_each_state_is_told_with_what_is_known(cells, tmp_path):
    done, runs, waits, failed, killed, _ = cells
    entry = make_record(study="night") | {"config": done.plain, "signature": done.signature, "seed": 0}
    record.write(entry, tmp_path)
    logged(
        runs, '{"step": 20, "loss": 3.5, "seconds": 9.0}\n{"step": 40, "loss": 2.5, "seconds": 20.0}\n{"step": 60, "lo'
    )
    logged(killed, '{"step": 30, "loss": 3.0, "seconds": 1.0}\n')
    (killed.folder / "lock").touch()
    (failed.folder / "failed.txt").write_text("the disk is full: make room\n")
    handed = batch.write(tmp_path, "joblib", [[runs], [waits]])
    with locked(handed.file), locked(runs.folder / "lock"):
        seen = {state.label[-2:]: state for state in status.of_name(tmp_path, "night").look()}
    assert {name: state.state for name, state in seen.items()} == {
        **{"s0": "finished", "s1": "running", "s2": "waiting", "s3": "failed", "s4": "failed"}
    }
    assert (seen["s1"].step, seen["s1"].steps, seen["s1"].loss, seen["s1"].left) == (40, 100, 2.5, 30.0)
    assert seen["s3"].word == "the disk is full: make room"
    assert seen["s4"].step == 30 and seen["s4"].word == "ended without a word: ask again"


def test_a_planned_study_is_told_whole(cells, tmp_path):
    """Also what was never launched, and what was launched beyond its file; `auto` is what it became there."""
    words = [
        "seed=4,5,6",
        "study.name=night",
        "trainer.steps=100",
        "trainer.precision=auto",
        f"paths.results={tmp_path}",
    ]
    seen = {state.label[-2:]: (state.state, state.word) for state in status.of_words(words[:3] + words[4:]).look()}
    never = ("missing", "never started")
    assert seen == {
        **dict.fromkeys(("s0", "s1", "s2", "s3", "s4"), never),
        "s5": ("missing", ""),
        "s6": ("missing", ""),
    }
    assert [study.name for study in status.all_launched(tmp_path)] == ["night"]
    with pytest.raises(ValueError, match="nothing is known of a study 'knight'"):
        status.of_name(tmp_path, "knight")


def test_slurm_says_how_a_job_ended(cells, tmp_path, monkeypatch):
    handed = batch.write(tmp_path, "slurm", [[cell] for cell in cells[:3]])
    monkeypatch.setattr(jobs.shutil, "which", lambda program: program)
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    lines = [f"{handed.name}|7_0|FAILED|2026-01-01T10:00", f"{handed.name}|7_2|OUT_OF_MEMORY|2026-01-01T10:00"]
    lines += [f"{handed.name}|9_2|CANCELLED by 0|2026-01-02T10:00"]  # a later job of the same cell
    lines += [f"{handed.name}|10_[0-2]|PENDING|Unknown"]
    answers = {"squeue": "", "sacct": "\n".join(lines)}

    def answer(command, env, **_):
        assert "SQUEUE_STATES" not in env, "the user's settings would hide jobs"
        return SimpleNamespace(stdout=answers[command[0]])

    monkeypatch.setattr(jobs.subprocess, "run", answer)
    words = {state.label[-2:]: state.word for state in status.of_name(tmp_path, "night").look()}
    assert "(SLURM: FAILED)" in words["s0"] and "(SLURM: CANCELLED by 0)" in words["s2"] and "SLURM" not in words["s1"]


def test_watching_ends_when_nothing_runs_or_waits(capsys):
    def state(name):
        return status.State("reverse-shared-s0", name, 20, 100, 1.25, 61.0 if name == "running" else None)

    def look():
        seen = next(looks)
        if isinstance(seen, Exception):
            raise seen
        return [state(seen)]

    looks, rests = iter(["waiting", jobs.NoAnswerError("SLURM does not answer"), "running", "finished"]), []
    show.watch([SimpleNamespace(name="night", look=look)], lambda: rests.append(1))
    assert len(rests) == 3
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "1 runs: 1 waiting",
        "1 runs: 1 running",
        "1 runs: 1 finished",
        "night",
        "finished  reverse-shared-s0  20/100  loss 1.250",
        "1 runs: 1 finished",
    ]
    assert told.err == "warning: SLURM does not answer\n"
    show.once({"night": [state("running")]})
    assert "1:01 left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], ["0", "1", "2", "3", "4"]),
        (["cluster.cells_per_gpu=2", "cluster.parallel=7"], ["0", "1", "2", "3", "4", "0", "1"]),
        (["cluster.processes=2"], ["0,1", "2,3"]),
    ],
)
def test_gpus_are_handed_out(monkeypatch, words, given):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    [cell] = plan(["cluster=joblib", "trainer.precision=bf16", *words])
    assert [place["CUDA_VISIBLE_DEVICES"] for place in together._places(cell)] == given
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6")
    if "cluster.processes=2" in words:
        with pytest.raises(ValueError, match="need a GPU each, and there are 1"):
            together._places(cell)
    else:
        assert together._places(cell)[0]["CUDA_VISIBLE_DEVICES"] == "6"


def test_what_is_frozen_can_be_read_by_a_person(cells):
    plain = json.loads((cells[0].folder / "cell.json").read_text())
    assert plain["overrides"] == cells[0].overrides and plain["versions"]["torch"]


def test_where_slurm_does_not_answer_the_rest_is_told(cells, tmp_path, monkeypatch):
    """Whatever is on record needs no queue; of the others nothing is claimed but that SLURM had them."""
    done, handed_over = cells[:2]
    entry = make_record(study="other") | {"signature": done.signature, "seed": 0}
    entry["config"] = {**done.plain, "study": {**done.plain["study"], "name": "other"}}
    record.write(entry, tmp_path)
    batch.write(tmp_path, "slurm", [[done], [handed_over]])
    monkeypatch.setenv("PATH", "")
    study = status.of_name(tmp_path, "night")
    with pytest.raises(jobs.NoAnswerError, match="there is no squeue here"):
        study.look()
    seen = {state.label[-2:]: (state.state, state.word) for state in study.look(ask=False)}
    assert seen["s1"] == ("waiting", "SLURM may know")
    assert seen["s0"] == ("finished", "on record for other: ask again, and it counts here, too")
