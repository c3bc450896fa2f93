"""`python train.py <words>` in a fork of a process that has imported everything, with a trap laid beforehand."""

import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from ablations import run
from ablations.compose import compose
from ablations.errors import one_run, shell
from tests.faults.processes import FORKS

Trap = Callable[[], object]


def command(words: Sequence[str], said: Path, trap: Trap | None = None) -> ForkServerProcess:
    """The process, started; first of a group of its own. `said` takes what it prints; `trap` is called in it before."""
    process = FORKS.Process(target=_do, args=(list(words), said, trap))
    process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Its exit code."""
    process.join(240)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError("it hangs")
    return process.exitcode


def done(words: Sequence[str], said: Path, trap: Trap | None = None) -> int:
    """The exit code of a command."""
    said.unlink(missing_ok=True)
    return ended(command(words, said, trap))


def refusal(said: Path) -> str:
    """The one sentence that a command ended with."""
    lines = [line for line in said.read_text().splitlines() if line.startswith(("error: ", "Traceback", "  File"))]
    assert len(lines) == 1 and lines[0].startswith("error: "), said.read_text()
    return lines[0].removeprefix("error: ")


def at_call(number: int, owner: Any, name: str, act: Callable[[], object]) -> None:
    """Has `owner.name` do something else first, the `number`th time it is called; the first is 1.

    `owner` is a class, or the name of a module.
    """
    owner = importlib.import_module(owner) if isinstance(owner, str) else owner
    usual, calls = getattr(owner, name), [0]

    def trapped(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            act()
        return usual(*given, **named)

    setattr(owner, name, trapped)


def at_open(number: int, under: Path, act: Callable[[], object]) -> None:
    """Does something before the `number`th file below a folder is opened for writing; the first is 1."""
    opened = [0]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not str(arguments[0]).startswith(f"{under}/"):
            return
        if isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            opened[0] += 1
            if opened[0] == number:
                act()

    sys.addaudithook(heard)


def _do(words: list[str], said: Path, trap: Trap | None) -> None:
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGHUP):  # under `nohup` or in the background they would be ignored
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    torch.set_num_threads(1)
    if trap is not None:
        trap()
    _train(words)


@shell
def _train(words: list[str]) -> None:
    with one_run():  # as in train.py
        run.run(compose(words), words)
