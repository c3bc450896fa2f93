"""Runs in processes of their own that may be killed: forked from one that has imported everything and computed nothing.

A start costs some hundredths of a second in place of seconds, so that nearly every kill hits the run and not an import.
"""

import hashlib
import io
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from ablations import record, run
from ablations.compose import cells, compose
from ablations.errors import sentence

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.rmdir")


def start(words: Sequence[str], **how: Any) -> ForkServerProcess:
    """A process that does what `python train.py -m <words>` would, all runs at once; `how`: see `_do`."""
    process = FORKS.Process(target=_do, args=(list(words),), kwargs=how)
    process.start()
    return process


def finish(words: Sequence[str], **how: Any) -> int:
    """Its exit code when it is over: minus the number of a signal that ended it."""
    process = start(words, **how)
    process.join(240)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{words} hangs")
    return process.exitcode


def _do(
    words: list[str], said: Path, die_at: int | str | None = None, count: Path | None = None, most: int | None = None
):
    """What `python train.py -m <words>` does, and dies of.

    `said` takes what it prints. It kills itself at its change to a file number `die_at`, the first is 1, or at the
    first one that looks like that; `count` takes how many there were. `most`: bytes that a file may have; the
    write that goes beyond ends the process in the middle.
    """
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    torch.set_num_threads(1)
    if most is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    changes = _count(die_at, said)
    try:
        outcomes = run.run_together([run.Asked(compose(cell), cell) for cell in cells(words)])
        for error in outcomes:
            if isinstance(error, Exception):
                raise error
    except Exception as error:
        told = sentence(error)
        if told is None:
            raise
        print(f"error: {told}")
        sys.exit(1)
    finally:
        if count is not None:
            count.write_text(str(changes[0]))


def _count(die_at: int | str | None, said: Path) -> list[int]:
    changes = [0]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if opened or event in CHANGES:
            changes[0] += 1
            here = f"{event} {arguments[0]}"
            if changes[0] == die_at or (isinstance(die_at, str) and re.search(die_at, here)):
                with said.open("a") as file:  # counted once more, which harms nobody
                    file.write(f"killed at {here}\n")
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)
    return changes


def outcome(results: Path) -> dict[int, dict[str, Any]]:
    """Seed -> all that its run leaves, without what a clock or a folder says."""
    return {found["seed"]: _left(found, results / "work" / found["signature"]) for found in record.load_all(results)}


def _left(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    for key in ("started", "finished", "seconds", "overrides", "command", "decoding", "code", "checksum"):
        found.pop(key, None)
    del found["config"]["paths"], found["config"]["rerun"]
    found["training"] = _timeless(found["training"])
    found["curve"] = [_timeless(line) for line in found["curve"]]
    lines = [_timeless(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    weights = torch.load(folder / "model.pt", weights_only=True)["model"]
    digests = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in weights.items()}
    texts = {file.name: file.read_text() for file in folder.glob("hypotheses.*")}
    left = sorted(file.name for file in folder.iterdir() if file.name not in texts)
    return {"record": found, "lines": lines, "weights": digests, "texts": texts, "left": left}


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("seconds", "tokens_per_second")}
