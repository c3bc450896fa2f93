"""What it costs to show a run to W&B: in files, and where its server is gone or never answers."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ablations.bench.report import Table, compared
from ablations.bench.setup import Setup

ROOT = Path(__file__).resolve().parent.parent.parent
BAR = 1.05
NOBODY = "http://127.0.0.1:9"
FIRST = "no tracking"


def tracking(setup: Setup) -> Iterator[Table]:
    """Two tables for one thread, which leaves a core to W&B's own process, and two for a thread on each core."""
    for threads in (1,) if setup.quick else (1, len(os.sched_getaffinity(0))):
        with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:  # the system takes connections for it
            yield from _compared(setup, threads, f"http://127.0.0.1:{silent.getsockname()[1]}")


def _compared(setup: Setup, threads: int, silent: str) -> list[Table]:
    """All steps, with what it costs to start; and the later half of them alone, as in a training that lasts."""
    steps, every = (4, 1) if setup.quick else (400, 20)
    contenders = {
        FIRST: ("none", NOBODY),
        "W&B, offline": ("wandb_offline", NOBODY),
        "W&B, server is gone": ("wandb", NOBODY),
        "W&B, server never answers": ("wandb", silent),
    }
    whole: dict[str, list[float]] = {name: [] for name in contenders}
    later: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(setup.rounds):
        for name in contenders if number % 2 == 0 else reversed(list(contenders)):
            told = _seconds(setup, threads, steps, every, *contenders[name])
            whole[name].append(told[steps] / steps)
            later[name].append((told[steps] - told[steps // 2]) / (steps - steps // 2))
    words = "one thread" if threads == 1 else f"{threads} threads"
    tables = [
        compared(f"A step of {words}, all steps", whole, FIRST),
        compared(f"A step of {words}, the later half", later, FIRST),
    ]
    for table in tables:
        table.notes.append(
            f"seconds of the wall in the training of `task=python_docs model=tiny`, {steps} steps of 1,024 tokens, a "
            f"line logged every {every} of them, each a process of its own; bar: {BAR}"
        )
    return tables


def _seconds(setup: Setup, threads: int, steps: int, every: int, tracker: str, server: str) -> dict[int, float]:
    """Step -> seconds of training until then, as a run has logged them."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "train.py", "task=python_docs", "model=tiny", f"trainer.threads={threads}"]
        command += [
            f"trainer.steps={steps}",
            "trainer.batch_tokens=1024",
            f"trainer.log_every={every}",
            f"tracking={tracker}",
        ]
        command += [
            f"trainer.eval_every={steps}",
            f"trainer.checkpoint_every={steps}",
            f"trainer.device={setup.device}",
        ]
        command += [f"paths.results={results}", f"paths.cache={setup.cache}"]
        place = {**os.environ, "WANDB_BASE_URL": server, "WANDB_API_KEY": "a" * 40}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=place)
        if done.returncode:
            raise RuntimeError(done.stderr)
        (file,) = Path(results).glob("work/*/metrics.jsonl")
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        return {line["step"]: line["seconds"] for line in lines}
