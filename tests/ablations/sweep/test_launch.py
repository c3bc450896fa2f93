"""Cells handed out: finished ones never, waiting and running ones not twice, a failing one to nobody's harm."""

import json
import os
import stat

import pytest

from ablations import learner, provenance, record
from ablations.files import locked
from ablations.sweep import batch, frozen, status
from ablations.sweep.cell import run_frozen
from ablations.sweep.frozen import FAILED
from ablations.sweep.launch import launch
from ablations.sweep.plan import plan
from tests.ablations.cells import asked

pytestmark = pytest.mark.usefixtures("one_thread")

SWEEP = ("projection=separate,shared", "seed=0,1", "study.name=night")


def states(cells):
    study = status.Study(cells[0].results, "night", {cell.signature: cell.plain for cell in cells})
    return {state.label: state.state for state in study.look()}


@pytest.fixture
def cells(cache, tmp_path):
    return plan(asked(cache, tmp_path, *SWEEP))


def test_a_sweep_runs_each_cell_once(cells, cache, tmp_path, monkeypatch, capsys):
    assert set(states(cells).values()) == {"missing"}
    launch(cells)
    assert len(record.load_all(tmp_path, "night")) == 4 and set(states(cells).values()) == {"finished"}
    capsys.readouterr()
    monkeypatch.setattr(learner.Alone, "step", lambda *_: pytest.fail("trained again"))
    launch(cells)
    assert capsys.readouterr().out == "4 runs: 4 finished\n"
    launch(plan(asked(cache, tmp_path, *SWEEP[:2], "study.name=day")))
    assert len(record.load_all(tmp_path, "day")) == 4, "they count for whoever asks"


def test_a_failing_cell_is_told_and_the_others_go_on(cells, tmp_path, capsys):
    cells[1].folder.mkdir(parents=True)
    (cells[1].folder / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="1 of 4 runs failed"):
        launch(cells)
    told = capsys.readouterr().err
    assert told.count("error: ") == 1 and "checkpoint.pt is damaged" in told and "seed=1" in told
    assert sorted(states(cells).values()) == ["failed", "finished", "finished", "finished"]
    assert "checkpoint.pt is damaged" in (cells[1].folder / FAILED).read_text()
    (cells[1].folder / "checkpoint.pt").unlink()
    launch(cells)
    assert set(states(cells).values()) == {"finished"}


def test_cells_in_somebody_s_hands_are_left_alone(cells, capsys, monkeypatch):
    monkeypatch.setattr("ablations.sweep.launch.PATIENCE", 1)
    others = batch.write(cells[0].results, "joblib", [[cell] for cell in cells[:3]])
    with locked(others.file), locked(cells[0].folder / "lock"):
        assert list(states(cells).values()) == ["running", "waiting", "waiting", "missing"]
        launch(cells)
    assert capsys.readouterr().out.startswith("4 runs: 1 running, 2 waiting, 1 to do\n")
    assert sorted(states(cells).values()) == ["failed", "finished", "missing", "missing"], "that launch has died"
    with (
        locked(cells[0].results / "work" / "launch.lock"),
        pytest.raises(ValueError, match="another launch is at work"),
    ):
        launch(cells)


def test_a_frozen_cell_knows_no_later_edit(cells, monkeypatch):
    file = frozen.Freezer().freeze(cells[0])
    seen = frozen.Frozen.read(file)
    assert seen.config == cells[0].plain and seen.digest == provenance.digest()
    assert seen.origin["claims"]["C01"], "rules of claims as they stand at the launch"
    seen.compare()
    monkeypatch.setattr(provenance, "digest", lambda: "another")
    with pytest.raises(ValueError, match="the code has changed since this run was launched"):
        run_frozen(file)
    assert (cells[0].folder / FAILED).read_text().startswith("the code has changed")
    monkeypatch.undo()
    now = provenance.versions()
    monkeypatch.setattr(provenance, "versions", lambda: {**now, "torch": "1.0"})
    with pytest.raises(ValueError, match="torch is 1.0 here and was"):
        seen.compare()
    file.write_text("{}")
    with pytest.raises(ValueError, match="cannot be read"):
        frozen.Frozen.read(file)


def test_several_at_once_are_processes_of_their_own(cache, tmp_path, capsys):
    cells = plan(asked(cache, tmp_path, "seed=0,1", "study.name=night", "cluster=joblib", "trainer.threads=1"))
    cells[0].folder.mkdir(parents=True)
    (cells[0].folder / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="1 of 2 runs failed"):
        launch(cells)
    printed = capsys.readouterr()
    assert "done: reverse-separate-s1" in printed.out and printed.err.count("checkpoint.pt is damaged") == 1
    assert "record: " in (cells[1].folder / "output.txt").read_text()
    [entry] = record.load_all(tmp_path, "night")
    assert entry["config"] == cells[1].plain


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs that answer as SLURM does: `queue` is what squeue says, `limit` what sbatch takes at most."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "sbatch": 'grep -q "array=0-9" "$1" && echo "sbatch: error: Invalid job array specification" >&2 && exit 1\n'
        f'cat "$1" >> {folder}/scripts; n=$(wc -l < {folder}/jobs 2>/dev/null || echo 0); echo x >> {folder}/jobs\n'
        'echo "Submitted batch job $((n + 1))"',
        "squeue": f"cat {folder}/queue",
        "srun": "",
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def on_slurm(cache, folder, *words):
    given = ("cluster=slurm", "cluster.partition=p", "cluster.gpus_per_task=0", "cluster.batch=2", "study.name=night")
    return plan(asked(cache, folder, *given, *words))


def test_job_arrays_in_batches_and_what_waits_is_not_submitted_again(cache, tmp_path, slurm, capsys):
    cells = on_slurm(cache, tmp_path, "seed=0,1,2", "cluster.setup=[module load cuda]", "+cluster.extra.mail-user=me")
    launch(cells)
    printed = capsys.readouterr().out
    assert "submitted 2 runs as SLURM job 1\nsubmitted 1 runs as SLURM job 2\n" in printed
    assert "cancel: scancel 1 2" in printed
    script = (slurm / "scripts").read_text()
    first, second = sorted(batch.batches(tmp_path), key=lambda b: -len(b.signatures))
    assert f"--job-name={first.name}" in script and "--array=0-1%2" in script and "--signal=USR2@120" in script
    assert "module load cuda\n" in script and "--mail-user=me" in script and "--requeue\n" in script
    assert [*first.signatures, *second.signatures] == [cell.signature for cell in cells]
    kept = json.loads((cells[2].folder / "cell.json").read_text())
    assert kept["config"] == cells[2].plain

    (slurm / "queue").write_text(f"1|1|RUNNING|{first.name}\n2|N/A|PENDING|{second.name}\n7|0|RUNNING|other\n")
    found = batch.alive(tmp_path, {cell.signature for cell in cells})
    assert found == {
        cells[1].signature: batch.Task("running", "SLURM job 1_1"),
        cells[2].signature: batch.Task("waiting", "SLURM job 2"),
    }
    launch(cells)
    assert capsys.readouterr().out.startswith(
        "3 runs: 1 running, 1 waiting, 1 to do\nsubmitted 1 runs as SLURM job 3\n"
    )


def test_what_slurm_refuses_is_one_sentence(cache, tmp_path, slurm, capfd):
    with pytest.raises(ValueError, match="SLURM refuses the jobs: Invalid job array specification"):
        launch(on_slurm(cache, tmp_path, "seed=range(0,10)", "cluster.batch=10"))
    assert capfd.readouterr().err == ""


def test_without_slurm_nothing_is_frozen_or_handed_out(cache, tmp_path, monkeypatch):
    cells = on_slurm(cache, tmp_path, "seed=0,1")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="sbatch is not here"):
        launch(cells)
    assert not list(tmp_path.glob("work/*/cell.json")) and not batch.batches(tmp_path)
