"""A sweep whose seeds are trained as one model: the records of the same runs one by one, each cell its own master."""

import os
import signal

import pytest
import torch

from ablations import record
from ablations.stack.alike import stacks
from ablations.stack.learner import Stack
from ablations.sweep import together
from ablations.sweep.launch import launch
from ablations.sweep.plan import plan
from ablations.units import unpack
from tests.ablations.cells import asked, timeless

pytestmark = pytest.mark.usefixtures("one_thread")

SWEEP = ("seed=0,1,2", "study.name=night", "trainer.steps=6", "trainer.eval_every=3", "trainer.log_every=2")


def entries(results):
    return {entry["seed"]: entry for entry in record.load_all(results, "night")}


def without_clock(entry):
    """A record but for when, how fast and where; numbers are compared apart."""
    left_out = ("started", "finished", "seconds", "training", "config", "command", "overrides", "scores", "curve")
    left_out += ("decoding", "units")
    training = {k: v for k, v in entry["training"].items() if k not in ("seconds", "tokens_per_second", "stack")}
    return {key: value for key, value in entry.items() if key not in left_out} | {"training": training}


def numbers(entry):
    units = unpack(entry["units"]["test"]["nll"]).tolist()
    return [
        entry["scores"]["test"]["nll"],
        *units,
        *(value for line in timeless(entry["curve"]) for value in line.values()),
    ]


def test_records_are_those_of_runs_one_by_one(cache, tmp_path, capsys):
    launch(plan(asked(cache, tmp_path / "alone", *SWEEP)))
    capsys.readouterr()
    launch(plan(asked(cache, tmp_path / "stack", *SWEEP, "trainer.stack=2")))
    assert "stacks of runs that differ in seed or optimizer alone: 1 of 2, 1 of 1" in capsys.readouterr().out
    alone, stacked = entries(tmp_path / "alone"), entries(tmp_path / "stack")
    assert [stacked[seed]["training"].get("stack") for seed in range(3)] == [2, 2, None]
    for seed in range(3):
        assert alone[seed]["signature"] == stacked[seed]["signature"]
        assert without_clock(stacked[seed]) == without_clock(alone[seed])
        assert numbers(stacked[seed]) == pytest.approx(numbers(alone[seed]), rel=1e-4)
    assert len({entry["scores"]["test"]["nll"] for entry in stacked.values()}) == 3


def test_who_is_stacked_with_whom(cache, tmp_path):
    words = asked(cache, tmp_path, "trainer.stack=4", "seed=0,1", "optim.lr=1e-3,1e-2")
    sizes = {}
    for change in ("projection=separate,symmetric_init", "projection=separate,shared", "optim.label_smoothing=0,0.1"):
        sizes[change] = [len(places) for places in stacks([cell.config for cell in plan([*words, change])])]
    assert sizes == {
        "projection=separate,symmetric_init": [4, 4],  # one and the same once there are initial weights
        "projection=separate,shared": [4, 4],
        "optim.label_smoothing=0,0.1": [4, 4],
    }
    mixed = stacks([cell.config for cell in plan([*words, "projection=separate,symmetric_init,shared"])])
    first = plan([*words, "projection=separate,symmetric_init,shared"])
    kinds = [{first[i].config.projection.name for i in places} for places in mixed]
    assert all("shared" not in kind or kind == {"shared"} for kind in kinds)
    conflict = plan([*words, "projection=shared_without_conflict"])
    assert [len(places) for places in stacks([cell.config for cell in conflict])] == [1] * 4, "hooks of its own"


def test_a_member_that_cannot_run_leaves_the_others_alone(cache, tmp_path, capsys):
    cells = plan(asked(cache, tmp_path, *SWEEP, "trainer.stack=8"))
    cells[1].folder.mkdir(parents=True)
    (cells[1].folder / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="1 of 3 runs failed"):
        launch(cells)
    told = capsys.readouterr().err
    assert told.count("error: ") == 1 and "checkpoint.pt is damaged" in told and "seed=1" in told
    assert {seed: entry["training"]["stack"] for seed, entry in entries(tmp_path).items()} == {0: 2, 2: 2}
    assert "is damaged" in (cells[1].folder / "failed.txt").read_text()
    (cells[1].folder / "checkpoint.pt").unlink()
    launch(cells)
    assert len(entries(tmp_path)) == 3


def test_what_breaks_a_stack_is_told_once_and_on_every_record(cache, tmp_path, monkeypatch, capsys):
    cells = plan(asked(cache, tmp_path, *SWEEP, "trainer.stack=8"))
    monkeypatch.setattr(Stack, "step", lambda *_: (_ for _ in ()).throw(ValueError("out of luck")))
    with pytest.raises(ValueError, match="3 of 3 runs failed"):
        launch(cells)
    told = capsys.readouterr().err
    assert told.count("out of luck") == told.count("error: ") == 1 and all(f"seed={seed}" in told for seed in range(3))
    assert {entry["status"] for entry in entries(tmp_path).values()} == {"failed"}


def test_told_to_stop_every_member_is_saved_and_goes_on(cache, tmp_path, monkeypatch):
    launch(plan(asked(cache, tmp_path / "straight", *SWEEP, "trainer.stack=8")))
    step, taken = Stack.step, []

    def count(self, batches, rates):
        taken.append(len(rates))
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batches, rates)

    monkeypatch.setattr(Stack, "step", count)
    cells = plan(asked(cache, tmp_path / "broken", *SWEEP, "trainer.stack=8"))
    with pytest.raises(SystemExit):
        launch(cells)
    assert taken == [3, 3, 3]
    saved = [torch.load(cell.folder / "checkpoint-3.pt", weights_only=True)["state"]["step"] for cell in cells]
    assert saved == [3, 3, 3]
    launch(cells)
    assert taken == [3] * 6, "from step 4 on"
    straight, broken = entries(tmp_path / "straight"), entries(tmp_path / "broken")
    for seed in range(3):
        assert timeless(broken[seed]["curve"]) == timeless(straight[seed]["curve"])
        assert broken[seed]["scores"] == straight[seed]["scores"]


def test_in_processes_of_their_own(cache, tmp_path, capsys):
    cells = plan(asked(cache, tmp_path, *SWEEP, "trainer.stack=8", "cluster=joblib", "trainer.threads=1"))
    cells[1].folder.mkdir(parents=True)
    (cells[1].folder / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="1 of 3 runs failed"):
        launch(cells)
    printed = capsys.readouterr()
    assert "done: reverse-separate-s0" in printed.out and "done: reverse-separate-s2" in printed.out
    assert printed.err.count("checkpoint.pt is damaged") == 1
    assert entries(tmp_path).keys() == {0, 2}
    assert str(cells[0].folder / together.OUTPUT) in (cells[2].folder / together.OUTPUT).read_text()
