"""These tests need the test cluster of `.ci/slurm_up.sh`, alone: they end jobs, nodes and processes."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.lab import ROOT, Study, slurm

SLURM_UP = ROOT / ".ci" / "slurm_up.sh"
BRING_UP = 'bring the test cluster up with `.ci/slurm_up.sh up`, then eval "$(.ci/slurm_up.sh env)"'


def _missing() -> str | None:
    """Why these tests cannot run here."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "one cluster, one test at a time: python -m pytest tests/slurm -n 0"
    if shutil.which("scontrol") is None:
        return f"no SLURM here: {BRING_UP}"
    if "is UP" not in subprocess.run(["scontrol", "ping"], capture_output=True, text=True).stdout:
        return f"no SLURM answers: {BRING_UP}"
    settings = [line.split() for line in slurm("scontrol", "show", "config").splitlines()]
    if ["ClusterName", "=", "lab"] not in settings:
        return f"this is somebody's cluster: {BRING_UP}"  # nobody's jobs but ours may be cancelled
    return None


@pytest.fixture(scope="session")
def cluster() -> None:
    """Skips where there is no test cluster."""
    if why := _missing():
        pytest.skip(why)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared text, made once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def undisturbed(cluster: None, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as it comes out where nothing happens: one cell after another, no SLURM."""
    study = Study(cache, tmp_path_factory.mktemp("undisturbed"))
    study.ask("cluster=local")
    return study


def _clear() -> None:
    """An empty queue on a working node. Stopped processes end by KILL alone, which is what `drain` sends."""
    lab = Path(os.environ["SLURM_CONF"]).parent.parent
    subprocess.run([SLURM_UP, "drain"], env={**os.environ, "SLURM_LAB_DIR": str(lab)}, check=True, timeout=120)
    slurm("scontrol", "update", "PartitionName=low", "State=UP")
    if any(state in slurm("sinfo", "--noheader", "--format=%T") for state in ("drain", "down")):
        slurm("scontrol", "update", "NodeName=lab0", "State=RESUME")


@pytest.fixture
def study(undisturbed: Study, cache: Path, tmp_path: Path) -> Iterator[Study]:
    """The study in a fresh results folder, on an empty cluster."""
    _clear()
    yield Study(cache, tmp_path / "results")
    _clear()


@pytest.fixture
def plain_cluster(cluster: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> Iterator[None]:
    """A second cluster, poorer: it tells a preempted job nothing but SIGTERM, and keeps no accounts (no sacct)."""
    folder = tmp_path_factory.mktemp("plain")
    port = int(os.environ.get("SLURM_LAB_PORT", 27817)) + 10
    knobs = {"SLURM_LAB_DIR": folder, "SLURM_LAB_PORT": port, "SLURM_LAB_USR": 0, "SLURM_LAB_ACCT": 0}
    environment = {**os.environ, **{name: str(value) for name, value in knobs.items()}}
    subprocess.run([SLURM_UP, "up"], env=environment, check=True, timeout=300)
    monkeypatch.setenv("SLURM_CONF", str(folder / "etc" / "slurm.conf"))
    yield
    subprocess.run([SLURM_UP, "wipe"], env=environment, check=True, timeout=300)
