"""Batches: which cells were handed to whom, written down before anything starts, so that no cell is handed out twice.

`<results>/work/batches/<name>.json` lists the cells of one launch, or of one job array. A batch of this machine is
alive while its launcher holds a lock on that file; a batch of SLURM gives its name to the jobs, and SLURM is asked.
"""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.files import is_locked, write_text
from ablations.sweep.plan import Cell

FORMAT = 1
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "CONFIGURING")


@dataclass(frozen=True)
class Batch:
    """Cells that were launched together; `cluster` is the kind of place they were given to."""

    file: Path
    cluster: str
    signatures: list[str]

    @property
    def name(self) -> str:
        """Also the name of the SLURM job."""
        return self.file.stem


def write(results: Path, cluster: str, cells: Sequence[Cell]) -> Batch:
    """A new batch on disk. Its name says the study, and is never used twice."""
    signatures = [cell.signature for cell in cells]
    unique = hashlib.sha256(f"{time.time_ns()} {signatures}".encode()).hexdigest()[:10]
    file = results / "work" / "batches" / f"{cells[0].config.study.name}-{unique}.json"
    write_text(file, json.dumps({"format": FORMAT, "cluster": cluster, "signatures": signatures}) + "\n")
    return Batch(file, cluster, signatures)


def batches(results: Path) -> list[Batch]:
    """All that were ever launched. Raises ValueError for a file that is none."""
    found = []
    for file in sorted((results / "work" / "batches").glob("*.json")):
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            assert plain["format"] == FORMAT
            found.append(Batch(file, plain["cluster"], plain["signatures"]))
        except (ValueError, KeyError, AssertionError):
            raise ValueError(f"{file} cannot be read: delete it once nothing of that launch runs any more") from None
    return found


@dataclass(frozen=True)
class Task:
    """A cell in somebody's hands."""

    state: str  # waiting | running
    place: str  # such as "SLURM job 17_3"


def alive(results: Path, wanted: Collection[str]) -> dict[str, Task]:
    """Signature -> where it waits or runs, of those wanted cells that a launch still holds or some process runs.

    Raises ValueError where SLURM has such cells and does not answer.
    """
    held: dict[str, Task] = {}
    jobs: dict[str, list[tuple[str, int, str]]] | None = None
    for batch in batches(results):
        if set(wanted).isdisjoint(batch.signatures):
            continue
        if batch.cluster == "slurm":
            jobs = _queue() if jobs is None else jobs
            for job, index, state in jobs.get(batch.name, []):
                held[batch.signatures[index]] = Task("waiting" if state in PENDING else "running", f"SLURM job {job}")
        elif is_locked(batch.file):
            held |= {signature: Task("waiting", f"a {batch.cluster} launch") for signature in batch.signatures}
    for signature in wanted:
        if is_locked(results / "work" / signature / "lock"):
            held[signature] = Task("running", held[signature].place if signature in held else "another process")
    return {signature: held[signature] for signature in wanted if signature in held}


def _queue() -> dict[str, list[tuple[str, int, str]]]:
    """Job name -> (job, index in its array, state), of all jobs that SLURM still has to do with."""
    if shutil.which("squeue") is None:
        raise ValueError(
            "runs of this study were handed to SLURM, and there is no squeue here to ask for them: ask on a machine of "
            "that cluster, or delete the files in work/batches once none of them runs any more"
        )
    command = ["squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%j"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if answer.returncode != 0:
        raise ValueError(f"SLURM does not answer ({answer.stderr.strip() or 'squeue failed'}): try again when it does")
    jobs: dict[str, list[tuple[str, int, str]]] = {}
    for line in answer.stdout.splitlines():
        job, index, state, name = line.split("|", 3)
        alone = not index.isdecimal()
        jobs.setdefault(name, []).append((job if alone else f"{job}_{index}", 0 if alone else int(index), state))
    return jobs
