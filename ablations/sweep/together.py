"""Several cells at once on this machine: each in a process of its own, GPUs handed out."""

import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ablations.compose import CONF
from ablations.errors import tell
from ablations.sweep.cell import FAILED
from ablations.sweep.plan import Cell

OUTPUT = "output.txt"  # in a cell's folder: what its last attempt printed


def run(cells: Sequence[Cell], files: Sequence[Path]) -> int:
    """Runs the frozen cells, as many at once as there are places, and says how each ended; the number that failed."""
    from joblib import Parallel, delayed

    places = _places(cells[0])
    free: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    for place in places:
        free.put(place)

    def one(cell: Cell, file: Path) -> bool:
        place = free.get()
        try:
            return _run(cell, file, place)
        finally:
            free.put(place)

    print(
        f"{min(len(places), len(cells))} at once; what they print is in {cells[0].results}/work/*/{OUTPUT}", flush=True
    )
    # Threads, because each only waits for its process: a killed run then takes nobody with it.
    ended = Parallel(n_jobs=len(places), backend="threading")(map(delayed(one), cells, files))
    return list(ended).count(False)


def _places(cell: Cell) -> list[dict[str, str]]:
    """For each run that may go on at the same time, what its environment says of GPUs and threads."""
    import torch

    cluster, trainer = cell.config.cluster, cell.config.trainer
    gpus: list[str] = []
    if trainer.device != "cpu" and torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0))
    if gpus:
        groups = [gpus[i : i + cluster.processes] for i in range(0, len(gpus), cluster.processes)]
        whole = [",".join(group) for group in groups if len(group) == cluster.processes]
        if not whole:
            raise ValueError(f"cluster.processes={cluster.processes} need a GPU each, and there are {len(gpus)}")
        devices = (whole * cluster.cells_per_gpu)[: cluster.parallel]
        return [{"CUDA_VISIBLE_DEVICES": device, **_threads(cores, len(devices))} for device in devices]
    parallel = cluster.parallel or max(1, cores // (cluster.processes * (trainer.threads or 1)))
    return [_threads(cores, parallel)] * parallel


def _threads(cores: int, parallel: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, cores // parallel))}


def _run(cell: Cell, file: Path, place: dict[str, str]) -> bool:
    processes = cell.config.cluster.processes
    several = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if processes > 1 else []
    command = [sys.executable, "-m", *several, "ablations.sweep.cell", str(file)]
    root = os.pathsep.join(filter(None, [str(CONF.parent), os.environ.get("PYTHONPATH")]))
    with (cell.folder / OUTPUT).open("w", encoding="utf-8") as output:
        ended = subprocess.run(
            command, env={**os.environ, **place, "PYTHONPATH": root}, stdout=output, stderr=subprocess.STDOUT
        )
    if ended.returncode == 0:
        print(f"done: {cell.label}", flush=True)
        return True
    why = cell.folder / FAILED
    said = why.read_text(encoding="utf-8").strip() if why.exists() else f"it ended with exit code {ended.returncode}"
    tell(f"{cell.label}: {said} (its output: {output.name})")
    return False
