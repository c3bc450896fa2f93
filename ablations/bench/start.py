"""How long it takes until a run of `tiny` has made its first step, against what it cannot do without."""

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ablations.bench import ours
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.timing import Samples, ratio, spread

ROOT = Path(__file__).resolve().parent.parent.parent
BAR = 1.5
USED = "import os, time; print(time.process_time(), flush=True); os._exit(0)"
NEEDED = f"""
import pickle, sys
import torch
torch.set_num_threads(1)
from data.loader import Loader
from data.prepare import prepare
task, corpora, cache, tokens = pickle.loads(bytes.fromhex(sys.argv[1]))
Loader(prepare(task, corpora, cache), tokens, task.context, 0).take(1)
{USED}
"""
WHOLE = f"""
import runpy, sys
from ablations import trainer
made = trainer.Trainer._step
def step(self, number):
    made(self, number)
    exec({USED!r})
trainer.Trainer._step = step
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""


def start(setup: Setup) -> Iterator[Table]:
    """One table; every sample is a process of its own."""
    words = ["task=python_docs", "model=tiny", "trainer.threads=1"]
    config, _ = ours.configured(words, setup.device, setup.corpora, setup.cache)
    needed = pickle.dumps((config.task, setup.corpora, setup.cache, config.trainer.batch_tokens)).hex()
    rounds = min(setup.rounds, 1) if setup.quick else setup.rounds
    samples: Samples = {"import torch, load the data": [], "train.py to the end of its first step": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as results:
            places = [f"paths.results={results}", f"paths.cache={setup.cache}", f"trainer.device={setup.device}"]
            for name, code, arguments in zip(samples, (NEEDED, WHOLE), ([needed], [*words, *places]), strict=True):
                samples[name].append(_seconds(code, arguments))
    table = Table("The first step of `tiny`", ["what", "CPU seconds", "times the first"], samples=samples)
    first = next(iter(samples))
    for name, found in samples.items():
        table.rows.append([name, str(spread(found)), str(ratio(samples, name, first))])
    table.notes.append(
        f"bar: {BAR}; text prepared before; CPU seconds of the whole process, the interpreter's start too"
    )
    yield table


def _seconds(code: str, arguments: list[str]) -> float:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.splitlines()[-1])
