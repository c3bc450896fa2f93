"""Batches: which cells were handed to whom, written down before anything starts, so that no cell is handed out twice.

`<results>/work/batches/<name>.json` lists the tasks of one launch, or of one job array; a task is a cell, or a stack of
cells. A batch of this machine is alive while its launcher holds a lock on that file; a batch of SLURM gives its name to
the jobs, and SLURM is asked.
"""

import hashlib
import itertools
import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.files import is_locked, write_text
from ablations.sweep import jobs
from ablations.sweep.plan import Cell

FORMAT = 2


@dataclass(frozen=True)
class Batch:
    """Cells that were launched together; `cluster` is the kind of place they were given to."""

    file: Path
    cluster: str
    tasks: list[list[str]]  # signatures of the cells of each

    @property
    def signatures(self) -> list[str]:
        """Of all its cells."""
        return list(itertools.chain(*self.tasks))

    @property
    def name(self) -> str:
        """Also the name of the SLURM job."""
        return self.file.stem

    def free_of(self, signatures: Collection[str]) -> bool:
        """Whether none of these cells is in it."""
        return set(self.signatures).isdisjoint(signatures)


def write(results: Path, cluster: str, tasks: Sequence[Sequence[Cell]]) -> Batch:
    """A new batch on disk. Its name says the study, and is never used twice."""
    signatures = [[cell.signature for cell in task] for task in tasks]
    unique = hashlib.sha256(f"{time.time_ns()} {signatures}".encode()).hexdigest()[:10]
    file = results / "work" / "batches" / f"{tasks[0][0].config.study.name}-{unique}.json"
    write_text(file, json.dumps({"format": FORMAT, "cluster": cluster, "tasks": signatures}) + "\n")
    return Batch(file, cluster, signatures)


def batches(results: Path) -> list[Batch]:
    """All that were ever launched. Raises ValueError for a file that is none."""
    found = []
    for file in sorted((results / "work" / "batches").glob("*.json")):
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            if plain["format"] not in (1, FORMAT):
                raise ValueError(plain["format"])
            alone = plain["format"] == 1  # before there were stacks
            tasks = [[signature] for signature in plain["signatures"]] if alone else plain["tasks"]
            found.append(Batch(file, plain["cluster"], tasks))
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{file} cannot be read: delete it once nothing of that launch runs any more") from None
    return found


@dataclass(frozen=True)
class Task:
    """A cell in somebody's hands."""

    state: str  # waiting | running
    place: str  # such as "SLURM job 17_3"


def alive(results: Path, wanted: Collection[str], ask: bool = True) -> dict[str, Task]:
    """Signature -> where it waits or runs, of those wanted cells that a launch still holds or some process runs.

    Raises jobs.NoAnswerError where SLURM has such cells and does not answer. Where it is not to be asked, whatever was
    once handed to it is taken to wait there.
    """
    held: dict[str, Task] = {}
    ours = [batch for batch in batches(results) if not batch.free_of(wanted)]
    queue = jobs.queued(batch.name for batch in ours if batch.cluster == "slurm") if ask else {}
    for batch in ours:
        if batch.cluster == "slurm" and not ask:
            held |= {signature: Task("waiting", "SLURM may know") for signature in batch.signatures}
        for job in queue.get(batch.name, []):
            state = "waiting" if job.state in jobs.PENDING else "running"
            held |= {signature: Task(state, f"SLURM job {job.id}") for signature in batch.tasks[job.index]}
        if batch.cluster != "slurm" and is_locked(batch.file):
            held |= {signature: Task("waiting", f"a {batch.cluster} launch") for signature in batch.signatures}
    for signature in wanted:
        if is_locked(results / "work" / signature / "lock"):
            held[signature] = Task("running", held[signature].place if signature in held else "another process")
    return {signature: held[signature] for signature in wanted if signature in held}
