"""A run that is told to stop saves itself, and whoever goes on from there ends as if nothing had happened."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from submitit.core.utils import UncompletedJobError

from ablations import learner, record, run, stop, trainer
from ablations.sweep import jobs
from tests.ablations.cells import config, do, timeless, weights

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = ("trainer.steps=12", "trainer.eval_every=12", "trainer.checkpoint_every=12", "trainer.log_every=5")


def told_at_seventh(monkeypatch, number):
    """The signal comes in the middle of a step, between two log lines and far from any checkpoint."""
    step, taken = learner.Alone.step, []

    def count(self, batches, rates):
        taken.append(rates)
        if len(taken) == 7:
            os.kill(os.getpid(), number)
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", count)
    return taken


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_learnt_is_kept_to_the_last_step_and_bit(cache, tmp_path, monkeypatch, number):
    straight = do(cache, tmp_path / "straight", *OPTIONS)
    taken = told_at_seventh(monkeypatch, number)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left:
        run.run(config(cache, tmp_path / "broken", *OPTIONS), [])
    assert left.value.code == 128 + number
    assert len(taken) == 7 and not list(tmp_path.glob("broken/records/*/*"))
    assert signal.getsignal(number) == before
    resumed = do(cache, tmp_path / "broken", *OPTIONS)
    assert len(taken) == 12, "from step 8 on"
    assert timeless(resumed["curve"]) == timeless(straight["curve"]), "the line that was begun is whole"
    assert resumed["scores"] == straight["scores"]
    a, b = weights(tmp_path / "straight"), weights(tmp_path / "broken")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_ctrl_c_saves_and_a_second_one_does_not_wait(cache, tmp_path, monkeypatch):
    taken = told_at_seventh(monkeypatch, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run.run(config(cache, tmp_path / "once", *OPTIONS), [])
    assert len(taken) == 7
    do(cache, tmp_path / "once", *OPTIONS)
    assert len(taken) == 12, "from step 8 on"
    with pytest.raises(KeyboardInterrupt), stop.Stop() as stopping, stopping.held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("waited")


def test_usr2_goes_to_the_queue_once_everything_is_saved(cache, tmp_path, monkeypatch):
    def queue_again(number, _):
        assert list(tmp_path.glob("work/*/checkpoint-*.pt"))
        raise SystemExit(77)

    told_at_seventh(monkeypatch, signal.SIGUSR2)
    before = signal.signal(signal.SIGUSR2, queue_again)
    try:
        with pytest.raises(SystemExit) as left:
            run.run(config(cache, tmp_path, *OPTIONS), [])
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert left.value.code == 77


def test_a_run_that_does_not_train_leaves_at_once(cache, tmp_path, monkeypatch):
    """Its last checkpoint is the end of the training: nothing is gained by scoring on into the time limit."""
    score = run.score
    monkeypatch.setattr(run, "score", lambda *_: os.kill(os.getpid(), signal.SIGTERM) or pytest.fail("scored on"))
    with pytest.raises(SystemExit):
        run.run(config(cache, tmp_path, *OPTIONS), [])
    monkeypatch.setattr(run, "score", score)
    monkeypatch.setattr(learner.Alone, "step", lambda *_: pytest.fail("trained again"))
    assert do(cache, tmp_path, *OPTIONS)["status"] == "finished"


def test_all_processes_leave_when_one_is_told():
    asked = SimpleNamespace(place=SimpleNamespace(device="cpu", world=2, all_reduce=lambda mine: mine + 1.0))
    nobody = SimpleNamespace(place=SimpleNamespace(device="cpu", world=2, all_reduce=lambda mine: mine))
    assert trainer.Trainer._agreed(asked, False) and not trainer.Trainer._agreed(nobody, False)


@pytest.mark.parametrize(
    ("job", "again"),
    [
        ("JobState=RUNNING Reason=None PreemptTime=2026-11-21T01:02:03", True),
        ("JobState=RUNNING Reason=None PreemptTime=None", False),
        ("JobState=COMPLETING PreemptTime=2026-11-21T01:02:03", False),  # cancelled after an earlier preemption
    ],
)
def test_a_preempted_job_asks_for_the_queue_and_a_cancelled_one_does_not(monkeypatch, job, again):
    calls = []

    def ask(command, **_):
        calls.append(command)
        return SimpleNamespace(stdout=job)

    monkeypatch.setattr(jobs.subprocess, "run", ask)
    for name, value in (("PROCID", "0"), ("JOB_ID", "19"), ("ARRAY_JOB_ID", "17"), ("ARRAY_TASK_ID", "2")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    jobs.queue_again_if_preempted()
    assert calls == [["scontrol", "show", "job", "17_2"]] + [["scontrol", "requeue", "17_2"]] * again


def test_a_node_without_scontrol_ends_as_it_would_elsewhere(monkeypatch, capsys):
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "19")
    monkeypatch.setenv("PATH", "")
    jobs.queue_again_if_preempted()
    assert "warning: not queued again" in capsys.readouterr().out


def test_who_is_immune_to_a_signal_stays_so():
    """As `nohup` makes a command, which is to outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop.Stop() as stopping, stopping.held() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_limit_that_came_too_often_is_said_in_a_sentence(cache, tmp_path, monkeypatch):
    def refuse(*_):
        raise UncompletedJobError("Job not requeued because: timed-out too many times.")

    told_at_seventh(monkeypatch, signal.SIGUSR2)
    before = signal.signal(signal.SIGUSR2, refuse)
    try:
        with pytest.raises(ValueError, match="more often than cluster.max_num_timeout allows: ask again"):
            run.run(config(cache, tmp_path, *OPTIONS), [])
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert list(tmp_path.glob("work/*/checkpoint-*.pt"))


def test_two_processes_never_train_one_run(cache, tmp_path):
    from ablations.files import locked

    asked = config(cache, tmp_path, *OPTIONS)
    signature = do(cache, tmp_path / "other", *OPTIONS)["signature"]
    with locked(tmp_path / "work" / signature / "lock") as mine:
        assert mine
        with pytest.raises(ValueError, match="another process trains reverse-separate-s0"):
            run.run(asked, [])
    run.run(asked, [])
    assert record.load_all(tmp_path)
