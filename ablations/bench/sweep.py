"""What a cell of a sweep costs beside its training: composing, submitting, skipping."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ablations import record
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.compose import compose
from ablations.files import write_text
from ablations.sweep.batch import batches
from ablations.sweep.launch import launch
from ablations.sweep.plan import Cell, plan
from data.prepare import prepare


def sweep(setup: Setup) -> Iterator[Table]:
    """Composes, submits and skips so many cells. On a machine of a SLURM cluster the jobs are held, and cancelled.

    Elsewhere a stand-in for `sbatch` takes them. The time of child processes is part of the price.
    """
    cells = 20 if setup.quick else setup.cells
    if cells % 20:
        raise ValueError(f"--cells {cells} is no multiple of 20: there are ten strategies at two rates")
    table = Table(f"A sweep of {cells} cells", ["what", "ms a cell", "of them computing"])
    slurm = shutil.which("scontrol") is not None and subprocess.run(["scontrol", "ping"]).returncode == 0
    path = os.environ["PATH"]
    with tempfile.TemporaryDirectory() as folder:
        for program, answer in (("sbatch", "echo Submitted batch job 1"), ("srun", ""), ("squeue", "")):
            (Path(folder) / program).write_text(f"#!/bin/sh\n{answer}\n")
            (Path(folder) / program).chmod(0o755)
        if not slurm:
            os.environ["PATH"] = f"{folder}{os.pathsep}{path}"
        try:
            _stages(table, cells, folder, slurm, setup)
        finally:
            os.environ["PATH"] = path
    yield table


def _stages(table: Table, cells: int, folder: str, slurm: bool, setup: Setup) -> None:
    words = [
        "projection=separate,shared,q_is_k,k_is_v,q_is_v,identity,gqa,mqa,low_rank,shared_scaled",
        "optim.lr=1e-3,2e-3",
        f"seed=range(0,{cells // 20})",
        *("cluster=slurm", "cluster.partition=main", "cluster.gpus_per_task=0", "+cluster.extra.hold=true"),
        *("study.name=bench", f"paths.results={folder}/results"),
    ]

    def cost(name: str, work: Callable[[], object]) -> None:
        begun, before = time.perf_counter(), sum(os.times()[:4])
        work()
        wall, cpu = time.perf_counter() - begun, sum(os.times()[:4]) - before
        table.rows.append([name, f"{1000 * wall / cells:.2f}", f"{1000 * cpu / cells:.2f}"])

    digest = prepare(compose([]).task, None, setup.cache).digest  # texts are prepared once, before any sweep
    planned: list[Cell] = []
    cost("compose, check, sign", lambda: planned.extend(plan(words)))
    cost("freeze and submit", lambda: launch(planned))
    if slurm:
        cost("ask again while they wait", lambda: launch(plan(words)))
        subprocess.run(["scancel", *(f"--name={b.name}" for b in batches(planned[0].results))], check=True)
    template = record.load(next(Path("results/records/characters").glob("*.json"))) | {"data": {"digest": digest}}
    for cell in planned:
        own = {"study": "bench", "config": cell.plain, "signature": cell.signature, "seed": cell.config.seed}
        write_text(record.path(cell.results, template | own), json.dumps(template | own, indent=1))
    cost("ask again when all are finished", lambda: launch(plan(words)))
