"""Costs: what a setting takes to train and to decode, counted and measured."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from ablations.tables.columns import Record
from ablations.tables.rows import Row

BYTES = 4  # of a number in fp32


@dataclass(frozen=True)
class Costs:
    """One setting on one task. None: not on record."""

    row: Row
    parameters: int | None
    flops_per_token: int | None
    training: float | None  # tokens a second, median over seeds
    decoding: float | None
    cache: float | None  # bytes per sequence and token in fp32, as counted from the sizes
    cache_measured: float | None  # what the cache held
    source_cache: float | None  # per token of the source; translators
    source_cache_measured: float | None
    seeds: int


def costs(table: list[Row], task: str) -> list[Costs]:
    """Of every setting that ran on this task."""
    found = [(row, [run for run in row.runs if run["task"] == task]) for row in table]
    return [_costs(row, runs, row.budget(task)) for row, runs in found if runs]


def machines(table: list[Row], task: str) -> tuple[list[str], list[str]]:
    """In words, the machines that trained on a task; and what keeps their speeds from being compared."""
    runs = [run for row in table for run in row.runs if run["task"] == task and run["status"] == "finished"]
    facts = {_machine(run) for run in runs}
    differing = [
        word
        for word, values in (
            ("machines", {name for name, _, _ in facts}),
            ("numbers of threads", {threads for _, threads, _ in facts}),
            ("numbers of processes", {processes for _, _, processes in facts}),
        )
        if len(values - {None}) > 1
    ]
    if any(run["training"].get("stack", 1) > 1 for run in runs):
        differing.append("stacks of runs, whose members share the machine")
    return sorted({_words(*fact) for fact in facts}), differing


def machine_in_words(run: Record) -> str:
    """Such as "AMD EPYC 9654, 2 threads, 4 processes", or that it is not on record."""
    return _words(*_machine(run))


def _costs(row: Row, runs: list[Record], budget: dict[str, Any]) -> Costs:
    def middle(part: str, key: str) -> float | None:
        values = [(run.get(part) or {}).get(key) for run in runs if run["status"] == "finished"]
        return median(there) if (there := [value for value in values if value is not None]) else None

    def counted(key: str) -> float | None:
        return BYTES * budget[key] if budget.get(key) is not None else None

    return Costs(
        row,
        budget.get("parameters"),
        budget.get("flops_per_token"),
        middle("training", "tokens_per_second"),
        middle("decoding", "tokens_per_second"),
        counted("cache_numbers_per_token"),
        middle("decoding", "cache_bytes_per_token"),
        counted("cache_numbers_per_source_token") or None,
        middle("decoding", "cache_bytes_per_source_token"),
        sum(run["status"] == "finished" for run in runs),
    )


def _machine(run: Record) -> tuple[str | None, int | None, int | None]:
    machine = run.get("machine") or {}
    # A GPU's speed does not hang on the threads of its host.
    threads = machine.get("threads") if machine.get("device") == "cpu" else None
    return machine.get("name"), threads, machine.get("processes")


def _words(name: str | None, threads: int | None, processes: int | None) -> str:
    many = f", {processes} processes" if (processes or 1) > 1 else ""
    each = "" if threads is None else ", one thread" if threads == 1 else f", {threads} threads"
    return f"{name or 'a machine that is not on record'}{each}{many}"
