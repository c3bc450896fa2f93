"""What it costs to show a run to W&B: in files, and where its server is gone or never answers."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ablations import record as records
from ablations.bench.report import Table, compared
from ablations.bench.setup import Setup

ROOT = Path(__file__).resolve().parent.parent.parent
BAR = 1.05
NOBODY = "http://127.0.0.1:9"
FIRST = "no tracking"


def tracking(setup: Setup) -> Iterator[Table]:
    """A table for one thread, which leaves a core to W&B's own process, and one for a thread on each core."""
    for threads in (1,) if setup.quick else (1, len(os.sched_getaffinity(0))):
        with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:  # the system takes connections for it
            yield _compared(setup, threads, f"http://127.0.0.1:{silent.getsockname()[1]}")


def _compared(setup: Setup, threads: int, silent: str) -> Table:
    steps = 4 if setup.quick else 300
    contenders = {
        FIRST: ("none", NOBODY),
        "W&B, offline": ("wandb_offline", NOBODY),
        "W&B, server is gone": ("wandb", NOBODY),
        "W&B, server never answers": ("wandb", silent),
    }
    samples = {name: [] for name in contenders}
    for number in range(setup.rounds):
        for name in contenders if number % 2 == 0 else reversed(list(contenders)):
            samples[name].append(_seconds(setup, threads, steps, *contenders[name]))
    words = "one thread" if threads == 1 else f"{threads} threads"
    table = compared(f"A step of {words}", samples, FIRST)
    table.notes.append(
        f"seconds of the wall in the training of `task=python_docs model=tiny`, {steps} steps of 1,024 tokens, a line "
        f"logged every 20 of them, each a process of its own; bar: {BAR}"
    )
    return table


def _seconds(setup: Setup, threads: int, steps: int, tracker: str, server: str) -> float:
    """Of a step, as the record of a run says."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "train.py", "task=python_docs", "model=tiny", f"trainer.threads={threads}"]
        command += [
            f"trainer.steps={steps}",
            "trainer.batch_tokens=1024",
            "trainer.log_every=20",
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
        (run,) = records.load_all(results)
        training = run["training"]
        return training["tokens"] / training["tokens_per_second"] / training["steps"]
