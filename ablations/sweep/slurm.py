"""Cells as tasks of SLURM job arrays, by way of submitit."""

import os
import contextlib
import io
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablations import record
from ablations.compose import CONF
from ablations.errors import shell, tell
from ablations.sweep import batch
from ablations.sweep.cell import FAILED, run_frozen
from ablations.sweep.config import ClusterConfig
from ablations.sweep.plan import Cell

ROOT = CONF.parent
POLL = 2.0  # seconds between two looks at who still runs


class Attempt:
    """What a job does, each time it is started; submitit asks for `checkpoint` before it queues it again."""

    def __call__(self, file: str, processes: int) -> None:
        """Runs the frozen cell. A failure ends the job with exit code 1, so that SLURM does not call it completed."""
        if processes > 1:
            import submitit

            submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
            os.environ["MASTER_ADDR"] = "127.0.0.1"  # one node, whose SLURM name need not be a network name
        shell(run_frozen)(Path(file))

    def checkpoint(self, file: str, processes: int) -> Any:
        """The same again: the cell finds its own checkpoint."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, file, processes)


def check_here() -> None:
    """Raises ValueError on a machine that cannot submit."""
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise ValueError(f"SLURM's {program} is not here: type this on a machine of the cluster")


def submit(cells: Sequence[Cell], files: Sequence[Path]) -> None:
    """Submits the cells in job arrays of `cluster.batch`, and says how to look at them and how to cancel them."""
    import submitit
    from submitit.core.utils import FailedJobError

    cluster, results = cells[0].config.cluster, cells[0].results
    executor = submitit.SlurmExecutor(results / "work" / "slurm", max_num_timeout=cluster.max_num_timeout)
    jobs: list[str] = []
    try:
        for start in range(0, len(cells), cluster.batch):
            some = cells[start : start + cluster.batch]
            handed = batch.write(results, cluster.kind, some)
            executor.update_parameters(**_parameters(cluster, handed.name))
            arguments = [str(file.resolve()) for file in files[start : start + cluster.batch]]
            with contextlib.redirect_stderr(io.StringIO()):  # submitit shows what sbatch says, and we say it below
                submitted = executor.map_array(Attempt(), arguments, [cluster.processes] * len(some))
            jobs.append(str(submitted[0].job_id).partition("_")[0])
            print(f"submitted {len(some)} runs as SLURM job {jobs[-1]}", flush=True)
    except FailedJobError as refusal:
        said = [line.partition("error: ")[2] for line in str(refusal).splitlines() if "error: " in line]
        raise ValueError(f"SLURM refuses the jobs: {'; '.join(said) or refusal}") from None
    finally:
        if jobs:
            study = cells[0].config.study.name
            where = "" if str(results) == "results" else f" --results {results}"
            print(
                f"look:   python scripts/status.py {study}{where} --watch\ncancel: scancel {' '.join(jobs)}", flush=True
            )


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
        "cpus_per_task": cluster.cpus_per_cell,
        "gpus_per_node": cluster.gpus_per_cell or None,
        "mem": f"{round(1024 * cluster.mem_gb)}M" if cluster.mem_gb else None,
        "array_parallelism": cluster.parallel or cluster.batch,
        # A failed process of a cell must not leave the others waiting for it.
        "srun_args": ["--kill-on-bad-exit=1"] if cluster.processes > 1 else None,
        "setup": [
            f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
            f"export OMP_NUM_THREADS={cluster.cpus_per_cell}",  # torch would take every core of the node
            *cluster.setup,
        ],
        "additional_parameters": {"requeue": True, **cluster.extra},  # also after the failure of a node
    }
    return {key: value for key, value in asked.items() if value is not None}


def wait(cells: Sequence[Cell]) -> int:
    """Stays until SLURM is done with the cells and says how each ended; the number that failed."""
    results = cells[0].results
    try:
        while batch.alive(results, {cell.signature for cell in cells}):
            time.sleep(POLL)
    except KeyboardInterrupt:
        print("the runs go on without this command", flush=True)
        raise
    failed = 0
    for cell in cells:
        found = record.find(results, cell.signature, cell.config.study.name)
        if found is not None:
            print(f"{found['status']}: {cell.label}")
            continue
        failed += 1
        why = cell.folder / FAILED
        said = why.read_text(encoding="utf-8").strip() if why.exists() else "it ended without a word"
        tell(f"{cell.label}: {said} (its output is in {results / 'work' / 'slurm'})")
    return failed
