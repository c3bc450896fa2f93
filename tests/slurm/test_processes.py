"""Two processes in one job: they learn what one process learns, and leave and come back together."""

from tests.ablations.test_processes import SOBER, assert_one_run
from tests.slurm.lab import Study, slurm, until
from tests.slurm.test_disturbed import preempted

TWO = ("cluster.processes=2", "cluster.gpus_per_task=0")
OPTIONS = (*SOBER, "trainer.accumulate=2")
CELLS, SWEEP = ("shared-s0",), ("projection=shared",)


def test_two_processes_learn_what_one_learns(study: Study, cache, tmp_path):
    """Preempted half-way: both stop after the same step, or one would wait for the other for ever."""
    one = Study(cache, tmp_path / "one")
    for it in (one, study):
        it.cells, it.sweep = CELLS, SWEEP
    one.ask("cluster=local", *OPTIONS)
    assert study.submit(*TWO, *OPTIONS) == 1
    study.catch()
    job = study.job(CELLS[0])
    slurm("scancel", "--signal=USR2", job)  # wakes nobody
    slurm("scancel", "--signal=CONT", job)
    study.saved()
    study.quiet()
    assert study.resumed(CELLS[0])
    [a], [b] = one.records().values(), study.records().values()
    assert_one_run(a, b)


def test_two_processes_on_a_poor_cluster(plain_cluster: None, study: Study):
    """Both get SIGTERM, and who leaves first must not end the other before it has asked to be queued again."""
    study.cells, study.sweep = CELLS, SWEEP
    assert study.submit(*TWO, *OPTIONS) == 1
    study.catch()
    with preempted():
        study.saved()
        until("the run waits again", lambda: len(study.jobs("PENDING")) == 1)
    study.quiet()
    assert study.resumed(CELLS[0])
    assert study.status() == {CELLS[0]: "finished"}
