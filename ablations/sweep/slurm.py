"""Cells as tasks of SLURM job arrays, by way of submitit."""

import contextlib
import io
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ablations.compose import CONF
from ablations.errors import shell, tell
from ablations.sweep import batch, jobs
from ablations.sweep.cell import run_frozen
from ablations.sweep.config import ClusterConfig
from ablations.sweep.frozen import FAILED, Frozen
from ablations.sweep.plan import Cell

ROOT = CONF.parent
POLL = 2.0  # seconds between two looks at who still runs
ATTEMPTS = 10  # looks for a word from a cell that is over


class Attempt:
    """What a job does, each time it is started; submitit asks for `checkpoint` before it queues it again."""

    def __call__(self, files: list[str], processes: int) -> None:
        """Runs the frozen cells. A failure ends the job with exit code 1, so that SLURM does not call it completed."""
        if processes > 1:
            import submitit

            submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
            os.environ["MASTER_ADDR"] = "127.0.0.1"  # one node, whose SLURM name need not be a network name
        shell(run_frozen)(*map(Path, files))

    def checkpoint(self, files: list[str], processes: int) -> Any:
        """The same again: each cell finds its own checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, files, processes)


def check_here() -> None:
    """Raises ValueError on a machine that cannot submit."""
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise ValueError(f"SLURM's {program} is not here: type this on a machine of the cluster")


def submit(tasks: Sequence[Sequence[Cell]], files: Sequence[Sequence[Path]]) -> None:
    """Submits the cells, a stack as one task, in job arrays of `cluster.batch`; says how to look at and cancel them."""
    import submitit
    from submitit.core.utils import FailedJobError

    cluster, results = tasks[0][0].config.cluster, tasks[0][0].results
    executor = submitit.SlurmExecutor(results / "work" / "slurm", max_num_timeout=cluster.max_num_timeout)
    ids: list[str] = []
    try:
        for start in range(0, len(tasks), cluster.batch):
            some = tasks[start : start + cluster.batch]
            handed = batch.write(results, cluster.kind, some)
            executor.update_parameters(**_parameters(cluster, handed.name))
            arguments = [[str(file.resolve()) for file in task] for task in files[start : start + cluster.batch]]
            with contextlib.redirect_stderr(io.StringIO()), _whole():  # submitit shows what sbatch says, and so do we
                submitted = executor.map_array(Attempt(), arguments, [cluster.processes] * len(some))
                ids.append(str(submitted[0].job_id).partition("_")[0])
            print(f"submitted {sum(map(len, some))} runs as SLURM job {ids[-1]}", flush=True)
    except FailedJobError as refusal:
        said = [line.partition("error: ")[2] for line in str(refusal).splitlines() if "error: " in line]
        hint = ": `sinfo -s` lists them" if "partition" in str(said) else ""
        raise ValueError(f"SLURM refuses the jobs: {said[0] if said else refusal}{hint}") from None
    finally:
        if ids:
            study = tasks[0][0].config.study.name
            where = "" if str(results) == "results" else f" --results {results}"
            print(
                f"look:   python scripts/status.py {study}{where} --watch\ncancel: scancel {' '.join(ids)}", flush=True
            )


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C waits, also for sbatch: jobs that are queued before their arguments are written would die."""
    heard: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # in the background of a script nobody means us
        signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which sbatch inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def _parameters(cluster: ClusterConfig, name: str) -> dict[str, Any]:
    """What submitit writes into the job script."""
    asked = {
        "job_name": name,
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "time": cluster.timeout_min,
        "signal_delay_s": cluster.signal_delay_s,
        "nodes": 1,
        "ntasks_per_node": cluster.processes,
        "cpus_per_task": cluster.cpus_per_task,
        "gpus_per_node": cluster.processes * cluster.gpus_per_task or None,
        "mem": f"{round(1024 * cluster.mem_gb)}M" if cluster.mem_gb else None,
        "array_parallelism": cluster.parallel or cluster.batch,
        # srun does not always take the cores from sbatch; a failed process must not leave the others waiting for it.
        "srun_args": [f"--cpus-per-task={cluster.cpus_per_task}", "--kill-on-bad-exit=1"],
        "setup": [
            f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
            f"export OMP_NUM_THREADS={cluster.cpus_per_task}",  # torch would take every core of the node
            *cluster.setup,
        ],
        "additional_parameters": {"requeue": True, **cluster.extra},  # also after the failure of a node
    }
    return {key: value for key, value in asked.items() if value is not None}


def wait(cells: Sequence[Cell], files: Sequence[Path]) -> int:
    """Stays until SLURM is done with the cells and says how each ended, when it ends; the number that failed."""
    results, failed = cells[0].results, 0
    left = {cell.signature: (cell, Frozen.read(file)) for cell, file in zip(cells, files, strict=True)}
    silent = False
    try:
        while left:
            time.sleep(POLL)
            try:
                held = batch.alive(results, left)
                silent = False
            except jobs.NoAnswerError as reason:
                if not silent:
                    print(f"warning: {reason}", file=sys.stderr, flush=True)
                silent = True
                continue
            for signature in set(left) - set(held):
                cell, frozen = left.pop(signature)
                failed += not _ended_well(cell, frozen)
    except KeyboardInterrupt:
        print("the runs go on without this command", flush=True)
        raise
    return failed


def _ended_well(cell: Cell, frozen: Frozen) -> bool:
    """Says how a cell ended that SLURM is done with."""
    why = cell.folder / FAILED
    for _ in range(ATTEMPTS):
        if (found := frozen.answered()) is not None:
            print(f"{found['status']}: {cell.label}", flush=True)
            return True
        if why.exists():
            break
        time.sleep(POLL)  # a shared folder shows late what a node has written
    said = why.read_text(encoding="utf-8").strip() if why.exists() else "it ended without a word"
    tell(f"{cell.label}: {said} (its output is in {cell.results / 'work' / 'slurm'})")
    return False
