"""A study of four cells on the test cluster: asking for it, looking at it and disturbing it, all from outside.

A disturbance must meet a cell in the middle of its training, however fast the machine: `catch` stops the process
(SIGSTOP) as soon as it has logged a step. What SLURM sends before it ends a job begins with SIGCONT, so the cell wakes
by itself.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ablations import record, writers
from ablations.compose import CONF
from tests.ablations.cells import asked, timeless

ROOT = CONF.parent
STUDY = "night"
CELLS = ("separate-s0", "separate-s1", "shared-s0", "shared-s1")
# Some seconds of training. No checkpoint but the one that a signal asks for: who goes on has heard it.
LENGTH = (
    "trainer.steps=250",
    "trainer.log_every=5",
    "trainer.eval_every=100000",
    "trainer.checkpoint_every=100000",
    "trainer.threads=1",
    "tracking=none",
    "cluster.cpus_per_task=1",  # all four at once
    f"study.name={STUDY}",
)
SWEEP = ("-m", "projection=separate,shared", "seed=0,1")
ON_SLURM = ("cluster=slurm", "cluster.partition=low")

T = TypeVar("T")


def slurm(*command: str) -> str:
    """What a SLURM command prints; AssertionError where it refuses."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def until(what: str, true: Callable[[], T], seconds: float = 120) -> T:
    """Waits for it, and gives what it is then. The deadline is for what never comes: nothing here is a measurement."""
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            queue = slurm("squeue", "--array", "--states=all", "--format=%i %P %T %r")
            raise AssertionError(f"not within {seconds} s: {what}\n{queue}")
        time.sleep(0.1)
    return found


@dataclass
class Study:
    """One results folder, and what happens to the study in it."""

    cache: Path
    results: Path
    root: Path = ROOT  # the sources that run
    cells: tuple[str, ...] = CELLS
    sweep: tuple[str, ...] = SWEEP
    length: tuple[str, ...] = LENGTH
    heard: dict[str, bytes] = field(default_factory=dict)  # cell -> what it had logged when it was caught

    def start(self, *overrides: str, **given: Any) -> subprocess.Popen[str]:
        """`python train.py`, going on by itself as in a terminal of its own."""
        command = [sys.executable, "train.py", *self.sweep, *asked(self.cache, self.results, *self.length, *overrides)]
        return subprocess.Popen(
            command, cwd=self.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            **given,
        )  # fmt: skip

    def ask(self, *overrides: str) -> str:
        """The same to its end: what it printed."""
        out, err = self.start(*overrides).communicate(timeout=300)
        assert err == "", f"{out}\n{err}"
        return out

    def submit(self, *overrides: str) -> int:
        """Asks for the study on SLURM: how many jobs this made."""
        before = len(self.jobs())
        self.ask(*ON_SLURM, *overrides)
        return len(self.jobs()) - before

    def jobs(self, *states: str) -> list[str]:
        """Its jobs in these states, an array's one by one; without any, all that there ever were."""
        batches = {file.stem for file in self.results.glob("work/batches/*.json")}
        wanted = ",".join(states) or "all"
        lines = slurm("squeue", "--noheader", "--array", f"--states={wanted}", "--format=%i %j").splitlines()
        return [job for job, name in map(str.split, lines) if name in batches]

    def steps(self) -> list[int]:
        """SLURM's own processes that still look after its jobs on the node."""
        mine = "|".join(
            slurm("squeue", "--noheader", "--array", f"--jobs={','.join(self.jobs())}", "--format=%A").split()
        )
        return [pid for pid in _processes() if re.match(rf"slurmstepd: \[({mine})\.", _command(pid))]

    def folder(self, cell: str) -> Path:
        """Where a cell works."""
        found = [
            file.parent for file in self.results.glob("work/*/cell.json") if _cell(json.loads(file.read_text())) == cell
        ]
        assert len(found) == 1, (cell, found)
        return found[0]

    def process(self, cell: str) -> int | None:
        """The process that runs a cell, in a job or not: who holds its lock. The first, where there are several."""
        lock = self.folder(cell) / "lock"
        return next((pid for pid in _processes() if lock.exists() and _has_open(pid, lock)), None)

    def job(self, cell: str) -> str:
        """The job that runs a cell."""
        pid = self.process(cell)
        assert pid is not None, f"{cell} does not run"
        said: dict[str, str] = {}
        for word in Path(f"/proc/{pid}/environ").read_text().split("\0"):
            name, _, said[name] = word.partition("=")
        array = said.get("SLURM_ARRAY_JOB_ID")
        return f"{array}_{said['SLURM_ARRAY_TASK_ID']}" if array else said["SLURM_JOB_ID"]

    def kill(self, cell: str) -> None:
        """Ends the process that runs a cell as a lack of memory would: it is told nothing."""
        pid = self.process(cell)
        assert pid is not None, f"{cell} does not run"
        os.kill(pid, signal.SIGKILL)

    def logged(self, cell: str) -> bytes:
        """What a cell has logged of its training: whole lines, each with a speed that no other training repeats."""
        file = self.folder(cell) / "metrics.jsonl"
        lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
        return b"".join(line for line in lines if line.endswith(b"\n"))

    def catch(self, *cells: str) -> None:
        """Stops cells in the middle of their training."""
        until("a launch", lambda: list(self.results.glob("work/batches/*.json")))
        waiting, end = list(cells or self.cells), time.monotonic() + 120
        while waiting:
            assert time.monotonic() < end, f"never trained: {waiting}\n{self.told()}"
            for cell in list(waiting):
                if self.logged(cell) and (pid := self.process(cell)):
                    os.kill(pid, signal.SIGSTOP)
                    self.heard[cell] = self.logged(cell)
                    waiting.remove(cell)
            time.sleep(0.05)

    def saved(self, *cells: str) -> None:
        """Waits until cells have left with a checkpoint."""
        for cell in cells or self.cells:
            until(f"{cell} saves", lambda cell=cell: any(self.folder(cell).glob("checkpoint-*.pt")))

    def resumed(self, cell: str) -> bool:
        """Whether the training that came to its end is the one that was caught, from where it was saved."""
        return len(self.heard[cell]) > 0 and self.logged(cell).startswith(self.heard[cell])

    def quiet(self) -> None:
        """Waits until nothing of anybody waits or runs."""
        until("an empty queue", lambda: slurm("squeue", "--noheader") == "", 240)

    def records(self) -> dict[str, dict[str, Any]]:
        """Cell -> its record."""
        found = record.load_all(self.results) if (self.results / "records").exists() else []
        named = {_cell(entry): entry for entry in found}
        assert len(named) == len(found)
        return named

    def status(self) -> dict[str, str]:
        """Cell -> what its record says became of it."""
        return {cell: entry["status"] for cell, entry in self.records().items()}

    def failures(self) -> dict[str, str]:
        """Cell -> why its last attempt failed, of those that did."""
        files = {cell: self.folder(cell) / "failed.txt" for cell in self.cells}
        return {cell: file.read_text() for cell, file in files.items() if file.exists()}

    def told(self) -> str:
        """All that jobs have printed."""
        logs = sorted(self.results.glob("work/slurm/**/*.out")) + sorted(self.results.glob("work/slurm/**/*.err"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')}" for log in logs)

    def tables(self) -> dict[str, bytes]:
        """The study's tables, made anew of records that were all as fast: the one thing in them that may differ."""
        equally_fast = self.results / "work" / "equally_fast"
        for entry in self.records().values():
            entry["training"]["tokens_per_second"] = entry["decoding"]["tokens_per_second"] = 1.0
            record.write(entry, equally_fast)
        return {file.name: file.read_bytes() for file in writers.write(equally_fast, STUDY)}

    def assert_like(self, other: "Study") -> None:
        """The same end as the other's: every cell finished, recorded once, the same tables but for speeds."""
        assert self.status() == dict.fromkeys(self.cells, "finished"), self.told()
        mine, others = self.records(), other.records()
        for cell in self.cells:
            assert self.told().count(f"{mine[cell]['signature']}.json") == 1, "recorded by one job, once"
            assert timeless(mine[cell]["curve"]) == timeless(others[cell]["curve"])
            steps = [json.loads(line)["step"] for line in self.logged(cell).splitlines()]
            assert steps == [line["step"] for line in mine[cell]["curve"]], "no step logged twice, or lost"
        assert self.tables() == other.tables()


def _cell(entry: dict[str, Any]) -> str:
    """Strategy and seed, of a record or a frozen cell."""
    return f"{record.strategy_name(record.site_names(entry['config']))}-s{entry['config']['seed']}"


def _processes() -> list[int]:
    return sorted(int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:  # gone meanwhile
        return ""


def _has_open(pid: int, file: Path) -> bool:
    try:
        return any(link.readlink() == file for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # gone meanwhile, or another user's
        return False
