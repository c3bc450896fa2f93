"""Whatever ends a job, the study ends with the tables of a night in which nothing happened, bit for bit."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ablations.sweep.status import of_name
from tests.slurm.lab import ON_SLURM, STUDY, Study, slurm, until

ALL = ("separate-s0", "separate-s1", "shared-s0", "shared-s1")


@contextmanager
def preempted() -> Iterator[None]:
    """Somebody more important takes the whole node, until the end of the block."""
    command = ["srun", "--job-name=more", "--partition=main", "--exclusive", "--mem=16", "--time=5", "sleep", "600"]
    important = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        slurm("scancel", "--name=more")
        important.wait(timeout=60)


def test_each_run_is_ended_in_another_way(study: Study, undisturbed: Study):
    requeued, killed, cancelled, damaged = ALL
    assert study.submit() == 4
    study.catch()
    job = {cell: study.job(cell) for cell in ALL}
    slurm("scontrol", "requeue", job[damaged])
    slurm("scontrol", "requeue", job[requeued])
    slurm("scancel", job[cancelled])
    study.kill(killed)
    study.saved(damaged, requeued, cancelled)
    [checkpoint] = study.folder(damaged).glob("checkpoint-*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    study.quiet()

    # SLURM queues again what it was told to; who is killed or cancelled waits to be asked for; what is broken says why.
    assert study.status() == {requeued: "finished"}
    assert study.resumed(requeued)
    assert list(study.failures()) == [damaged], study.failures()
    assert f"{checkpoint} is damaged" in study.failures()[damaged]
    assert any(study.folder(cancelled).glob("checkpoint-*.pt")), "scancel leaves the time to save"
    words = {state.label.partition("-")[2]: state.word for state in of_name(study.results, STUDY).look()}
    assert words[cancelled].startswith("saved (SLURM: CANCELLED")
    assert words[killed].startswith("ended without a word (SLURM: FAILED)")
    assert "is damaged" in words[damaged] and words[requeued] == ""

    checkpoint.unlink()
    assert study.submit() == 3
    study.quiet()
    assert study.resumed(cancelled), "who was cancelled goes on"
    assert not study.resumed(killed), "nothing was saved of who was killed"
    study.assert_like(undisturbed)


def test_time_limit(study: Study, undisturbed: Study):
    """Runs that take longer than a job may. Asleep until SLURM speaks, they do not come to their end before."""
    assert study.submit("cluster.timeout_min=1", "cluster.signal_delay_s=15") == 4
    study.catch()
    study.saved()
    study.quiet()
    assert [study.resumed(cell) for cell in ALL] == [True] * 4
    study.assert_like(undisturbed)
    assert len(study.jobs()) == 4, "the same jobs, queued again"


def test_preemption(study: Study, undisturbed: Study):
    """Asked for again while they wait or run, they are in hands already; once finished, they are finished."""
    assert study.submit() == 4
    study.catch()
    with preempted():
        study.saved()
        until("all wait again", lambda: len(study.jobs("PENDING")) == 4)
        assert study.submit() == 0
    until("all run again", lambda: len(study.jobs("RUNNING")) == 4)
    assert study.submit() == 0
    study.quiet()
    assert [study.resumed(cell) for cell in ALL] == [True] * 4
    assert study.submit() == 0
    study.assert_like(undisturbed)


def test_node_failure_while_somebody_watches(study: Study, undisturbed: Study):
    """slurm_debug waits for the runs. Ctrl-C ends the waiting, not the runs, and they outlive their node."""
    watching = study.start("cluster=slurm_debug", "cluster.partition=low", "cluster.parallel=4")
    study.catch()
    os.killpg(watching.pid, signal.SIGINT)
    watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert len(study.jobs("RUNNING")) == 4

    slurm("scontrol", "update", "PartitionName=low", "State=DOWN")
    slurm("scontrol", "update", "NodeName=lab0", "State=DOWN", "Reason=test")
    until("all wait for a node", lambda: len(study.jobs("PENDING")) == 4)
    until("nothing is left on the node", lambda: not study.steps())
    time.sleep(3)  # slurmd notices within a second; SLURM's usual wait before it queues a job again is two minutes
    until("the node is back", lambda: "idle" in slurm("sinfo", "--noheader", "--format=%T"))
    slurm("scontrol", "update", "PartitionName=low", "State=UP")
    study.quiet()
    assert [study.resumed(cell) for cell in ALL] == [True] * 4
    assert len(study.jobs()) == 4
    assert "4 finished" in study.ask("cluster=slurm_debug", "cluster.partition=low")
    study.assert_like(undisturbed)


def test_poor_cluster(plain_cluster: None, undisturbed: Study, study: Study):
    """A preempted job gets SIGTERM alone, and nobody keeps accounts: runs are saved, and nothing waits for ever."""
    least, killed, cancelled, overdue = ALL
    # Below ten minutes submitit takes every USR2 for the time limit.
    watching = study.start(*ON_SLURM, "cluster.wait=true", "cluster.timeout_min=9", "cluster.max_num_timeout=0")
    study.catch()
    job = {cell: study.job(cell) for cell in ALL}
    slurm("scancel", job[cancelled])
    study.kill(killed)
    slurm("scancel", "--signal=USR2", job[overdue])
    slurm("scancel", "--signal=CONT", job[overdue])
    until("three are gone", lambda: len(study.jobs("RUNNING")) == 1)
    with preempted():
        study.saved(least)
        until("it waits again", lambda: len(study.jobs("PENDING")) == 1)
    study.quiet()
    watching.communicate(timeout=60)
    assert watching.returncode == 1, "three runs have not come to their end"
    assert study.status() == {least: "finished", overdue: "failed"} and study.resumed(least)
    assert "cluster.max_num_timeout allows: ask again" in study.failures()[overdue]

    assert study.submit() == 3
    study.quiet()
    assert study.resumed(cancelled) and study.resumed(overdue) and not study.resumed(killed)
    study.assert_like(undisturbed)
