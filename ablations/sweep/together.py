"""Several cells at once on this machine: each, or each stack, in a process of its own, GPUs handed out."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from ablations.compose import CONF
from ablations.errors import tell
from ablations.stop import SIGNALS
from ablations.sweep.frozen import FAILED
from ablations.sweep.plan import Cell, finished

OUTPUT = "output.txt"  # in a cell's folder: what its last attempt printed


def run(tasks: Sequence[Sequence[Cell]], files: Sequence[Sequence[Path]]) -> int:
    """Runs the frozen cells, as many at once as there are places, and says how each ended; the number that failed.

    Told to stop, it tells the running cells and starts no others; each saves itself, and then the program ends.
    """
    from joblib import Parallel, delayed

    first = tasks[0][0]
    places = _places(first)
    free: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    for place in places:
        free.put(place)
    print(f"{min(len(places), len(tasks))} at once; what they print is in {first.results}/work/*/{OUTPUT}", flush=True)

    with Children() as children:

        def one(task: Sequence[Cell], files: Sequence[Path]) -> int:
            place = free.get()
            try:
                return 0 if children.stopped is not None else _run(task, files, place, children)
            finally:
                free.put(place)

        # Threads, because each only waits for its process: a killed run then takes nobody with it. One more than there
        # are places, because joblib would do without threads for one, and signals are heard in the main one.
        ended = list(Parallel(n_jobs=len(places) + 1, backend="threading")(map(delayed(one), tasks, files)))
    return sum(failed or 0 for failed in ended)


class Children:
    """The processes at work. In sessions of their own, they are told to stop once, by us, not by the terminal."""

    def __init__(self) -> None:
        self.stopped: int | None = None
        self._running: set[subprocess.Popen[bytes]] = set()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores HUP
        self._before = {number: signal.signal(number, self._stop) for number in heard}
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.stopped is not None:
            print("what ran is saved: the same command goes on with it", flush=True)
        if self.stopped == signal.SIGINT:
            raise KeyboardInterrupt
        if self.stopped is not None:
            sys.exit(128 + self.stopped)

    def run(self, command: Sequence[str], environment: dict[str, str], output: IO[str]) -> int:
        """The exit code of a command."""
        with subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            self._running.add(process)
            code = process.wait()
            self._running.discard(process)
        return code

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.stopped = number
        for process in list(self._running):
            process.send_signal(number)


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
        return [
            {"CUDA_VISIBLE_DEVICES": device, **_threads(cores, len(devices) * cluster.processes)} for device in devices
        ]
    parallel = cluster.parallel or max(1, cores // (cluster.processes * (trainer.threads or 1)))
    return [_threads(cores, parallel * cluster.processes)] * parallel


def _threads(cores: int, processes: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, cores // processes))}


def _run(task: Sequence[Cell], files: Sequence[Path], place: dict[str, str], children: Children) -> int:
    """Runs a cell or a stack and says how each of its cells ended; the number that failed."""
    first, processes = task[0], task[0].config.cluster.processes
    several = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if processes > 1 else []
    command = [sys.executable, "-m", *several, "ablations.sweep.cell", *map(str, files)]
    root = os.pathsep.join(filter(None, [str(CONF.parent), os.environ.get("PYTHONPATH")]))
    for cell in task[1:]:
        (cell.folder / OUTPUT).write_text(f"trained in a stack: {first.folder / OUTPUT}\n", encoding="utf-8")
    with (first.folder / OUTPUT).open("w", encoding="utf-8") as output:
        code = children.run(command, {**os.environ, **place, "PYTHONPATH": root}, output)
    if children.stopped is not None:
        return 0
    said = [_why(cell) for cell in task]
    if code != 0 and not any(said):
        ended = f"it ended with exit code {code}"
        said = ["" if cell.signature in finished([cell]) else ended for cell in task]
    for cell, why in zip(task, said, strict=True):
        if why:
            tell(f"{cell.label}: {why} (its output: {output.name})")
        else:
            print(f"done: {cell.label}", flush=True)
    return sum(map(bool, said))


def _why(cell: Cell) -> str:
    """Why a cell has failed, if so."""
    why = cell.folder / FAILED
    return why.read_text(encoding="utf-8").strip() if why.exists() else ""
