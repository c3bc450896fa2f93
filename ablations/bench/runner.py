"""Running a benchmark. What it needs is loaded then."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from ablations.bench.names import KNOWN
from ablations.bench.report import Table, save_for_claims, write
from ablations.bench.setup import Setup
from models.projections.choice import one_of


def run(name: str, setup: Setup, save: bool = False) -> list[Path]:
    """Runs a benchmark, prints its tables as they come, and returns the files it wrote.

    `save`: also keeps the samples of its table for claims.
    """
    tables = []
    for table in find(name)(setup):
        print(table.markdown(), flush=True)
        tables.append(table)
    written = write(name, setup, tables)
    return [*written, save_for_claims(name, setup, tables[0].samples)] if save else written


def find(name: str) -> Callable[[Setup], Iterator[Table]]:
    """What makes the tables of a benchmark. Raises ValueError for an unknown name."""
    one_of("benchmark", name, KNOWN)
    module, function = KNOWN[name][0].split(":")
    return getattr(import_module(f"ablations.bench.{module}"), function)
