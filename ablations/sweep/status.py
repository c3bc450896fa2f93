"""How a study is getting on: what became of each of its cells, told from files and from SLURM's queue."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import record
from ablations.compose import CONF
from ablations.files import is_locked
from ablations.sweep import batch, jobs
from ablations.sweep.frozen import FAILED, FILE, Frozen
from ablations.sweep.plan import plan
from ablations.track.tracker import FILE as METRICS

STATES = ("finished", "diverged", "running", "waiting", "stopped", "failed", "missing")


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


@dataclass(frozen=True)
class Study:
    """Whose cells are looked at, and those that it plans: signature -> config."""

    results: Path
    name: str
    planned: dict[str, dict[str, Any]]

    def look(self, ask: bool = True) -> list[State]:
        """Every cell that is planned, was launched or is on record; those in work first, then by name.

        Raises jobs.NoAnswerError where SLURM has some of them and does not answer, unless it is not to be asked.
        """
        launched = _launched(self.results, self.name)
        configs = self.planned | launched | _recorded(self.results, self.name)
        open_ones = {signature for signature, found in self._records(configs).items() if found is None}
        held = batch.alive(self.results, open_ones, ask)
        records = self._records(configs)  # once more: what has ended in between is on record by now
        for signature in configs:
            if signature not in open_ones and is_locked(self.results / "work" / signature / "lock"):
                held[signature] = batch.Task("running", "again")
        word = (
            _ended(self.results, {s for s, found in records.items() if found is None and s not in held}) if ask else {}
        )
        states = [
            self._state(signature, config, records[signature], held.get(signature), word.get(signature, ""))
            for signature, config in configs.items()
        ]
        order = ("running", "failed", "stopped", "waiting", "missing", "diverged", "finished")
        return sorted(states, key=lambda state: (order.index(state.state), state.label))

    def _records(self, signatures: Iterable[str]) -> dict[str, dict[str, Any] | None]:
        found = record.answers(self.results, signatures := list(signatures), self.name)
        return {signature: found[signature][1] if signature in found else None for signature in signatures}

    def _state(
        self,
        signature: str,
        config: dict[str, Any],
        found: dict[str, Any] | None,
        task: batch.Task | None,
        ended: str,
    ) -> State:
        label, steps, folder = record.label(config), config["trainer"]["steps"], self.results / "work" / signature
        running = task is not None and task.state == "running"
        if found is not None and not running:
            elsewhere = f"on record for {found['study']}: ask again, and it counts here, too"
            word = found.get("reason") or (elsewhere if found["study"] != self.name else "")
            return State(label, found["status"], found["training"]["steps"], steps, word=word)
        last = _last_line(folder / METRICS)
        step, loss, seconds = (last.get(name) for name in ("step", "loss", "seconds"))
        if (why := folder / FAILED).exists() and not running:
            return State(label, "failed", step, steps, loss, word=why.read_text(encoding="utf-8").strip())
        if task is not None:
            left = seconds / step * (steps - step) if running and step and seconds else None
            return State(label, task.state, step, steps, loss, left, task.place)
        if any(folder.glob("checkpoint*.pt")):
            return State(label, "stopped", step, steps, loss, word=f"saved{ended}: ask again, and it goes on")
        if (folder / "lock").exists():
            return State(label, "failed", step, steps, loss, word=f"ended without a word{ended}: ask again")
        return State(label, "missing", steps=steps, word=f"never started{ended}" if (folder / FILE).exists() else "")


def of_words(words: Sequence[str]) -> Study:
    """The study of `python train.py <words>`, with these cells."""
    cells = plan(words)
    name, results = cells[0].config.study.name, cells[0].results
    configs = _launched(results, name) | _recorded(results, name)
    precisions = {config["trainer"]["precision"] for config in configs.values()}
    if len(precisions) == 1:  # `auto` was settled where they run
        cells = plan([f"trainer.precision={precisions.pop()}", *words])
    return Study(results, name, {cell.signature: cell.plain for cell in cells})


def of_name(results: Path, name: str) -> Study:
    """A study by its name, with what its file plans, if it has one. Raises ValueError where nothing is known of it."""
    if (CONF / "study" / f"{name}.yaml").exists():
        return of_words([f"study={name}", f"paths.results={results}"])
    if not _launched(results, name) and not _recorded(results, name):
        raise ValueError(
            f"nothing is known of a study {name!r} under {results}: no file in conf/study, no launch, no record"
        )
    return Study(results, name, {})


def all_launched(results: Path) -> list[Study]:
    """Every study that was launched from this results folder."""
    names = {config["study"]["name"] for config in _launched(results).values()}
    return [Study(results, name, {}) for name in sorted(names)]


def _launched(results: Path, study: str | None = None) -> dict[str, dict[str, Any]]:
    found = [Frozen.read(file) for file in (results / "work").glob(f"*/{FILE}")]
    return {cell.signature: cell.config for cell in found if study in (None, cell.config["study"]["name"])}


def _recorded(results: Path, study: str) -> dict[str, dict[str, Any]]:
    return {entry["signature"]: entry["config"] for entry in record.briefs(results, study)}


def _last_line(file: Path) -> dict[str, Any]:
    """The last whole line of a run's metrics, or nothing."""
    if not file.exists():
        return {}
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - 4096))
        whole = [line for line in lines.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return json.loads(whole[-1]) if whole and whole[-1].startswith(b"{") else {}


def _ended(results: Path, signatures: Collection[str]) -> dict[str, str]:
    """Signature -> how SLURM says its last job ended, such as " (SLURM: CANCELLED)"."""
    ours = {b.name: b for b in batch.batches(results) if b.cluster == "slurm" and not b.free_of(signatures)}
    last: dict[str, jobs.Job] = {}
    for name, found in jobs.ended(ours).items():
        for job in found:
            for signature in ours[name].tasks[job.index]:
                last[signature] = max(last.get(signature, job), job, key=lambda one: one.end)
    return {signature: f" (SLURM: {job.state})" for signature, job in last.items()}
