"""Timings that docstrings, the README and claims quote.

    python scripts/bench.py attention      CPU: attention written out against torch's fused kernel, in a whole step
    python scripts/bench.py precision      CPU: bfloat16 against float32, in a whole step
    python scripts/bench.py storage        CPU: one matrix per head or role against one big one, in a whole step
    python scripts/bench.py key_width      CPU: the product q k^T over the width of a key
    python scripts/bench.py sweep          composing, submitting and skipping the cells of a sweep, in ms a cell

Interleaved in one process, medians of ratios, one thread, since machines are noisy. `--save` keeps every sample of the
last two in results/measurements/, where claims read them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations import provenance, record
from ablations.compose import compose
from ablations.config import TrainerConfig
from ablations.device import find_place
from ablations.files import write_text
from ablations.sweep.batch import batches
from ablations.sweep.launch import launch
from ablations.sweep.plan import Cell, plan
from data.prepare import prepare
from models import attention
from models.init import initialise
from models.projections.score import DotProduct
from models.transformer import Translator

VOCABULARY, ROWS, LENGTH = 6000, 128, 16  # a batch like Multi30k's at 2048 tokens a side


def training_step(precision: str, *overrides: str) -> Callable[[], None]:
    """One step of the `small` translator on random tokens."""
    torch.manual_seed(0)
    config = compose(["model=small", "task=multi30k_en_de", *overrides])
    model = Translator(config.model, config.sites, config.position, VOCABULARY, LENGTH)
    initialise(model, 0, config.model.init, config.model.decoder_layers)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tokens = torch.randint(4, VOCABULARY, (ROWS, LENGTH))
    mask = torch.ones(ROWS, LENGTH, dtype=torch.bool)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(tokens, mask, tokens)
        F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def fused_attend(
    score: DotProduct, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, dropout: float = 0.0
) -> Tensor:
    """What `models.attention.attend` does on a GPU."""
    return F.scaled_dot_product_attention(q, k, v, mask, dropout, causal, scale=score.scale)


def seconds(step: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(names: tuple[str, str], timed: Callable[[str], float], rounds: int) -> None:
    """Times the two in turn and prints medians and the median ratio with its range."""
    pairs = [(timed(names[0]), timed(names[1])) for _ in range(rounds + 1)][1:]  # the first round warms up
    ratios = [b / a for a, b in pairs]
    for name, times in zip(names, zip(*pairs, strict=True), strict=True):
        print(f"{name:12} {1000 * statistics.median(times):8.1f} ms")
    spread = f"from {min(ratios):.2f} to {max(ratios):.2f}, n={rounds}"
    print(f"{names[1]} / {names[0]}: {statistics.median(ratios):.2f} ({spread})")


def storages(rounds: int) -> dict[str, list[float]]:
    """Seconds of a training step by storage, in float32."""
    kinds = ("fused", "per_role", "per_head")
    return interleaved({kind: training_step("fp32", f"projection.storage={kind}") for kind in kinds}, rounds)


def key_widths(rounds: int) -> dict[str, list[float]]:
    """Seconds of 20 products q k^T of 32 x 4 heads and 128 positions, by the width of a key, in float32."""

    def product(width: int) -> Callable[[], None]:
        q, k = torch.randn(2, 32, 4, 128, width)

        def products() -> None:
            for _ in range(20):
                torch.matmul(q, k.mT)

        return products

    return interleaved({f"d_k={width}": product(width) for width in (16, 32, 64)}, rounds)


def interleaved(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in turn, `rounds` times after two rounds that warm up; prints medians against the first."""
    samples = [{name: seconds(step) for name, step in steps.items()} for _ in range(rounds + 2)][2:]
    times = {name: [sample[name] for sample in samples] for name in steps}
    first = next(iter(steps))
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times[first], strict=True))
        print(f"{name:12} {1000 * statistics.median(found):8.1f} ms, {ratio:.2f} times {first} (n={rounds})")
    return times


def sweep(cells: int) -> None:
    """Composes, submits and skips so many cells. On a machine of a SLURM cluster the jobs are held, and cancelled.

    Elsewhere a stand-in for `sbatch` takes them. The time of child processes is part of the price.
    """
    slurm = shutil.which("scontrol") is not None and subprocess.run(["scontrol", "ping"]).returncode == 0
    with tempfile.TemporaryDirectory() as folder:
        for program, answer in (("sbatch", "echo Submitted batch job 1"), ("srun", ""), ("squeue", "")):
            (Path(folder) / program).write_text(f"#!/bin/sh\n{answer}\n")
            (Path(folder) / program).chmod(0o755)
        if not slurm:
            os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        words = [
            "projection=separate,shared,q_is_k,k_is_v,q_is_v,identity,gqa,mqa,low_rank,shared_scaled",
            "optim.lr=1e-3,2e-3",
            f"seed=range(0,{cells // 20})",
            *("cluster=slurm", "cluster.partition=main", "cluster.gpus_per_task=0", "+cluster.extra.hold=true"),
            *("study.name=bench", f"paths.results={folder}/results"),
        ]
        digest = prepare(compose([]).task, None, "data/cache").digest  # texts are prepared once, before any sweep
        planned: list[Cell] = []
        cost("compose, check, sign", cells, lambda: planned.extend(plan(words)))
        cost("freeze and submit", cells, lambda: launch(planned))
        if slurm:
            cost("ask again while they wait", cells, lambda: launch(plan(words)))
            subprocess.run(["scancel", *(f"--name={b.name}" for b in batches(planned[0].results))], check=True)
        template = record.load(next(Path("results/records/characters").glob("*.json"))) | {"data": {"digest": digest}}
        for cell in planned:
            own = {"study": "bench", "config": cell.plain, "signature": cell.signature, "seed": cell.config.seed}
            write_text(record.path(cell.results, template | own), json.dumps(template | own, indent=1))
        cost("ask again when all are finished", cells, lambda: launch(plan(words)))


def cost(name: str, cells: int, work: Callable[[], None]) -> None:
    """Prints what the work costs a cell."""
    begun, before = time.perf_counter(), sum(os.times()[:4])
    work()
    wall, cpu = time.perf_counter() - begun, sum(os.times()[:4]) - before
    print(f"-- {name}: {1000 * wall / cells:.2f} ms a cell, {1000 * cpu / cells:.2f} ms of them CPU (n={cells})")


def save(name: str, samples: dict[str, list[float]]) -> None:
    """Keeps the samples for claims."""
    kept = {
        "name": name,
        "command": f"python scripts/bench.py {name} --save",
        "date": provenance.now()[:10],
        "machine": find_place(TrainerConfig(threads=1)).facts(),
        "samples": {label: [float(f"{value:.5g}") for value in found] for label, found in samples.items()},
    }
    target = Path("results") / "measurements" / f"{name}.json"
    write_text(target, json.dumps(kept, indent=1) + "\n")
    print(target)


def main() -> None:
    """Runs one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("attention", "precision", "storage", "key_width", "sweep"))
    parser.add_argument("--cells", type=int, default=2000, help="sweep: how many, a multiple of 20")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="storage, key_width: keep the samples for claims")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "sweep":
        sweep(given.cells)
        return
    if given.what in ("storage", "key_width"):
        samples = (storages if given.what == "storage" else key_widths)(given.rounds)
        if given.save:
            save(given.what, samples)
        return
    if given.save:
        parser.error("--save is for storage and key_width: no claim reads the others")
    if given.what == "precision":
        steps = {name: training_step(name) for name in ("bf16", "fp32")}
        compare(("bf16", "fp32"), lambda name: seconds(steps[name]), given.rounds)
        return
    for precision in ("bf16", "fp32"):
        step = training_step(precision)

        def timed(name: str, step: Callable[[], None] = step) -> float:
            kernel = attention.attend_written_out if name == "written out" else fused_attend
            with mock.patch.object(attention, "attend", kernel):
                return seconds(step)

        print(f"{precision}, training step of `small`, {ROWS} rows of {LENGTH} tokens")
        compare(("written out", "fused"), timed, given.rounds)


if __name__ == "__main__":
    main()
