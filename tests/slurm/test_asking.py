"""Asked for twice, run once; whoever asks may die at any moment, and edit what he likes afterwards."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.lab import ON_SLURM, ROOT, Study, slurm, until

# Stands before the real sbatch. At its second call the caller is told to end, before or after SLURM has the job.
SBATCH = """#!{python}
import os, pathlib, signal, subprocess, sys
calls = pathlib.Path({calls!r})
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
if len(calls.read_text()) == 2:
    if {handed}:
        print(subprocess.run([{real!r}, *sys.argv[1:]], capture_output=True, text=True).stdout, flush=True)
    os.killpg(os.getppid(), signal.{signal})
    sys.exit()
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""


@pytest.mark.parametrize(("end", "handed"), [("SIGKILL", True), ("SIGKILL", False), ("SIGINT", True)])
def test_who_submits_may_die_between_two_jobs(study: Study, undisturbed: Study, tmp_path: Path, end: str, handed: bool):
    """Killed when SLURM has the second job and the program does not know, or before; Ctrl-C waits for the answer."""
    real = shutil.which("sbatch")
    assert real is not None
    (tmp_path / "bin").mkdir()
    false = tmp_path / "bin" / "sbatch"
    false.write_text(
        SBATCH.format(python=sys.executable, calls=str(tmp_path / "calls"), real=real, handed=handed, signal=end)
    )
    false.chmod(0o755)
    slurm("scontrol", "update", "PartitionName=low", "State=DOWN")  # jobs wait
    path = {**os.environ, "PATH": f"{false.parent}:{os.environ['PATH']}"}
    dies = study.start(*ON_SLURM, "cluster.batch=1", env=path)
    dies.communicate(timeout=120)
    assert dies.returncode == (130 if end == "SIGINT" else -signal.SIGKILL)
    known = study.jobs("PENDING")
    assert len(known) == (2 if handed else 1)

    assert study.submit("cluster.batch=1") == 4 - len(known)
    assert study.submit("cluster.batch=1") == 0, "all are in hands"
    slurm("scontrol", "update", "PartitionName=low", "State=UP")
    if handed and end == "SIGKILL":  # one job was never told what to do
        until("the others", lambda: len(study.records()) == 3)
        until("all but that one have ended", lambda: len(study.jobs("RUNNING", "COMPLETING")) <= 1)
        slurm("scancel", "--quiet", *known)  # or it waits a minute to be told
        study.quiet()
        assert study.submit() == 1
    study.quiet()
    study.assert_like(undisturbed)


def test_asked_twice_at_once(study: Study, undisturbed: Study):
    """Both may find every run free at one moment; only one hands them out."""
    slurm("scontrol", "update", "PartitionName=low", "State=DOWN")
    both = [study.start(*ON_SLURM, "cluster.batch=1") for _ in range(2)]
    for one in both:
        one.communicate(timeout=120)
    assert 0 in [one.returncode for one in both]
    assert len(study.jobs()) == 4


@pytest.fixture
def copy(study: Study, tmp_path: Path) -> Study:
    """The study, of sources that a test may edit."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if (ROOT / name).is_file() and not name.startswith(("results/", "tests/")):
            (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "copy" / name)
    study.root = tmp_path / "copy"
    return study


def edit(file: Path, old: str, new: str) -> None:
    """Replaces something that is there."""
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_edits_after_the_submission(copy: Study, undisturbed: Study):
    """Edited settings do not reach a run that waits; edited code it refuses to run."""
    study, code, settings = copy, copy.root / "models/attention.py", copy.root / "conf/optim/adamw.yaml"
    before = code.read_text(), settings.read_text()
    slurm("scontrol", "update", "PartitionName=low", "State=DOWN")
    assert study.submit() == 4
    code.write_text(before[0] + "\n# changed\n")
    slurm("scontrol", "update", "PartitionName=low", "State=UP")
    study.quiet()
    assert study.status() == {} and len(study.failures()) == 4
    for why in study.failures().values():
        assert "the code has changed since this run was launched" in why and "launch it again" in why

    code.write_text(before[0])
    slurm("scontrol", "update", "PartitionName=low", "State=DOWN")
    assert study.submit() == 4
    settings.write_text("lr: 0.5\nclip: 0.1\n")
    slurm("scontrol", "update", "PartitionName=low", "State=UP")
    study.quiet()
    study.assert_like(undisturbed)
    lrs = {entry["config"]["optim"]["lr"] for entry in study.records().values()}
    assert lrs == {entry["config"]["optim"]["lr"] for entry in undisturbed.records().values()}
