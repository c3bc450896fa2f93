"""Hands the cells of a sweep to where they run, each cell once."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from ablations.compose import cell_named
from ablations.errors import go_on
from ablations.files import locked
from ablations.known import answer
from ablations.stack.alike import stacks
from ablations.sweep import batch, slurm, together
from ablations.sweep.cell import Attempted, attempt
from ablations.sweep.frozen import Freezer
from ablations.sweep.plan import Cell, finished

PATIENCE = 60  # attempts, of two seconds each, to be the only launch in a results folder


def launch(cells: Sequence[Cell]) -> None:
    """Runs or submits every cell that is neither finished nor in somebody's hands already.

    Raises ValueError where the cells want several clusters or results folders, where another launch is at work in the
    folder, and at the end where a run has failed; why it has is told by then.
    """
    cluster, results = cells[0].config.cluster, cells[0].results
    if any((cell.config.cluster, cell.results) != (cluster, results) for cell in cells):
        raise ValueError("a sweep runs in one place: give `cluster` and `paths.results` one value each")
    if cluster.kind == "slurm":
        slurm.check_here()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError(
            "torchrun takes one run at a time: for a sweep of runs of several processes leave it out and take "
            f"cluster=joblib cluster.processes={os.environ['WORLD_SIZE']}"
        )
    digests = _text_digests(cells)  # of a large text for hours, in which others may launch
    with ExitStack() as until_the_end:
        with _alone(results):
            todo = _todo(cells, digests)
            if not todo:
                return
            freezer = Freezer()
            tasks = [[todo[i] for i in places] for places in stacks([cell.config for cell in todo])]
            files = [[freezer.freeze(cell) for cell in task] for task in tasks]
            _say_stacks(tasks)
            if cluster.kind == "slurm":
                slurm.submit(tasks, files)
            else:
                handed = batch.write(results, cluster.kind, tasks)
                until_the_end.enter_context(locked(handed.file))  # while it is held, its cells wait for us
        if cluster.kind == "local":
            failed = one_after_another(tasks, freezer.origin)
        elif cluster.kind == "joblib":
            failed = together.run(tasks, files)
        elif cluster.wait:
            failed = slurm.wait(list(chain(*tasks)), list(chain(*files)))
        else:
            return
    if failed:
        raise ValueError(f"{failed} of {len(todo)} runs failed, as told above")


def one_after_another(tasks: Sequence[Sequence[Cell]], origin: dict[str, Any]) -> int:
    """Runs the cells in this process; one that fails does not stop the others. The number that failed."""
    failed = 0
    for task in tasks:
        outcomes = attempt([Attempted(cell.folder, cell.config, cell.overrides, origin) for cell in task])
        failures = [(cell, failure) for cell, failure in zip(task, outcomes, strict=True) if failure is not None]
        for cell, failure in failures:
            with suppress(Exception), cell_named(cell.overrides):
                raise failure
        for failure in dict.fromkeys(failure for _, failure in failures):  # what broke a stack is told once
            go_on(failure)
        failed += len(failures)
    return failed


def _say_stacks(tasks: Sequence[Sequence[Cell]]) -> None:
    wanted = tasks[0][0].config.trainer.stack
    if wanted != 1:
        sizes = Counter(len(task) for task in tasks)
        found = ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items(), reverse=True))
        print(f"trainer.stack={wanted}: stacks of runs that differ in seed or optimizer alone: {found}", flush=True)


@contextmanager
def _alone(results: Path) -> Iterator[None]:
    """Two launches at one moment could both find a cell free: one waits until the other has handed out its cells."""
    for _ in range(PATIENCE):
        with locked(results / "work" / "launch.lock") as mine:
            if mine:
                yield
                return
    raise ValueError(f"another launch is at work in {results}: try again when it has handed out its runs")


def _todo(cells: Sequence[Cell], digests: dict[str, str]) -> list[Cell]:
    done = finished(cells)
    for cell in cells:
        if cell.signature in done:
            with cell_named(cell.overrides):
                digest = digests[_task(cell)]
                answer(done[cell.signature], cell.plain["study"], digest, cell.results)
    rest = [cell for cell in cells if cell.signature not in done]
    held = batch.alive(cells[0].results, {cell.signature for cell in rest})
    todo = [cell for cell in rest if cell.signature not in held]
    states = ["finished"] * len(done) + sorted(task.state for task in held.values()) + ["to do"] * len(todo)
    counts = ", ".join(f"{count} {state}" for state, count in Counter(states).items())
    print(f"{len(cells)} runs: {counts}", flush=True)
    return todo


def _text_digests(cells: Sequence[Cell]) -> dict[str, str]:
    """Prepares the text of every task, here where there may be a network, and not once for each cell."""
    from data.prepare import prepare

    digests: dict[str, str] = {}
    for cell in cells:
        if _task(cell) not in digests:
            paths = cell.config.paths
            digests[_task(cell)] = prepare(cell.config.task, paths.corpora, paths.cache).digest
    return digests


def _task(cell: Cell) -> str:
    return json.dumps(cell.plain["task"], sort_keys=True)
