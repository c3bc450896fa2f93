"""How a study is getting on: what became of each of its cells, told from files and from SLURM's queue."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import record
from ablations.compose import CONF
from ablations.sweep import batch, frozen
from ablations.sweep.cell import FAILED
from ablations.sweep.plan import plan
from ablations.track.tracker import FILE as METRICS

STATES = ("finished", "diverged", "running", "waiting", "failed", "missing")


@dataclass(frozen=True)
class State:
    """One cell: how it is, how far it came, and a word on why or where."""

    label: str
    state: str  # of STATES
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    left: float | None = None  # seconds of training
    word: str = ""


def of_words(words: Sequence[str]) -> list[State]:
    """The cells of `python train.py <words>`, and all others of that study that were launched or are on record."""
    cells = plan(words)
    name, results = cells[0].config.study.name, cells[0].results
    configs = _launched(results, name) | _recorded(results, name)
    precisions = {config["trainer"]["precision"] for config in configs.values()}
    if len(precisions) == 1:  # `auto` was settled where they run
        cells = plan([f"trainer.precision={precisions.pop()}", *words])
    return of_configs(results, name, {cell.signature: cell.plain for cell in cells} | configs)


def of_study(results: Path, name: str) -> list[State]:
    """All cells of a study by its name: those that its file asks for, if it has one, were launched or are on record.

    Raises ValueError for a name that nothing is known of.
    """
    if (CONF / "study" / f"{name}.yaml").exists():
        return of_words([f"study={name}", f"paths.results={results}"])
    configs = _launched(results, name) | _recorded(results, name)
    if not configs:
        raise ValueError(
            f"nothing is known of a study {name!r} under {results}: no file in conf/study, no launch, no record"
        )
    return of_configs(results, name, configs)


def of_launched(results: Path) -> dict[str, list[State]]:
    """Study -> its cells, of every study that was launched from this results folder."""
    names = {config["study"]["name"] for config in _launched(results).values()}
    return {
        name: of_configs(results, name, _launched(results, name) | _recorded(results, name)) for name in sorted(names)
    }


def of_configs(results: Path, study: str, configs: dict[str, dict[str, Any]]) -> list[State]:
    """The state of each cell, given signature -> config; those in work first, then by name."""
    known = record.index(results)
    records = {signature: record.find(results, signature, study, known) for signature in configs}
    open_ones = {signature for signature, found in records.items() if found is None}
    held = batch.alive(results, open_ones)
    ended = _ended(results, open_ones - set(held))
    states = [
        _state(results, signature, config, records[signature], held.get(signature), ended.get(signature, ""))
        for signature, config in configs.items()
    ]
    order = ("running", "failed", "waiting", "missing", "diverged", "finished")
    return sorted(states, key=lambda state: (order.index(state.state), state.label))


def _state(
    results: Path,
    signature: str,
    config: dict[str, Any],
    found: dict[str, Any] | None,
    task: batch.Task | None,
    ended: str,
) -> State:
    label, steps, folder = record.label(config), config["trainer"]["steps"], results / "work" / signature
    if found is not None:
        return State(label, found["status"], found["training"]["steps"], steps, word=found.get("reason") or "")
    last = _last_line(folder / METRICS)
    step, loss, seconds = (last.get(name) for name in ("step", "loss", "seconds"))
    if task is not None:
        left = seconds / step * (steps - step) if task.state == "running" and step and seconds else None
        return State(label, task.state, step, steps, loss, left, task.place)
    if (why := folder / FAILED).exists():
        return State(label, "failed", step, steps, loss, word=why.read_text(encoding="utf-8").strip())
    if (folder / frozen.FILE).exists():
        return State(label, "failed", step, steps, loss, word=f"ended without a word{ended}: ask again, and it goes on")
    return State(label, "missing", steps=steps)


def _launched(results: Path, study: str | None = None) -> dict[str, dict[str, Any]]:
    found = [frozen.Frozen.read(file) for file in (results / "work").glob(f"*/{frozen.FILE}")]
    return {cell.signature: cell.config for cell in found if study in (None, cell.config["study"]["name"])}


def _recorded(results: Path, study: str) -> dict[str, dict[str, Any]]:
    return {entry["signature"]: entry["config"] for entry in record.load_all(results, study)}


def _last_line(file: Path) -> dict[str, Any]:
    """The last whole line of a run's metrics, or nothing."""
    if not file.exists():
        return {}
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - 4096))
        whole = [line for line in lines.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return json.loads(whole[-1]) if whole and whole[-1].startswith(b"{") else {}


def _ended(results: Path, signatures: Iterable[str]) -> dict[str, str]:
    """Signature -> what SLURM's accounting says of its last job, such as " (SLURM: CANCELLED)"; nothing without it."""
    wanted = set(signatures)
    ours = {b.name: b for b in batch.batches(results) if b.cluster == "slurm" and not wanted.isdisjoint(b.signatures)}
    if not ours or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "--noheader", "--allocations", "--parsable2", "--array", "--starttime=now-30days"]
    command += [f"--name={','.join(ours)}", "--format=JobName,JobID,State,End"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found: dict[str, tuple[str, str]] = {}
    for line in answer.stdout.splitlines():
        name, job, state, end = line.split("|", 3)
        index = job.partition("_")[2]
        signature = ours[name].signatures[int(index) if index.isdecimal() else 0]
        found[signature] = max(found.get(signature, ("", "")), (end, state))
    return {signature: f" (SLURM: {state})" for signature, (_, state) in found.items()}
