"""Two processes in one job: they learn what one process learns, and leave and come back together."""

from tests.ablations.test_processes import SOBER, assert_one_run
from tests.slurm.lab import Study, slurm

TWO = ("cluster.processes=2", "cluster.gpus_per_cell=0")
OPTIONS = (*SOBER, "trainer.accumulate=2")


def test_two_processes_learn_what_one_learns(study: Study, cache, tmp_path):
    """Preempted half-way: both stop after the same step, or one would wait for the other for ever."""
    one = Study(cache, tmp_path / "one")
    for it in (one, study):
        it.cells, it.sweep = ("shared-s0",), ("projection=shared",)
    one.ask("cluster=local", *OPTIONS)
    assert study.submit(*TWO, *OPTIONS) == 1
    study.catch()
    job = study.job("shared-s0")
    slurm("scancel", "--signal=USR2", job)  # wakes nobody
    slurm("scancel", "--signal=CONT", job)
    study.saved()
    study.quiet()
    assert study.resumed("shared-s0")
    [a], [b] = one.records().values(), study.records().values()
    assert_one_run(a, b)
