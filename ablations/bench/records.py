"""How long all tables of a study take, and how much memory, against the number of its records.

Each way is a process of its own, `python scripts/tables.py` as it is typed where it makes tables: seconds count from
its start to its end.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablations import record, units
from ablations.bench.lines import draw
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.timing import spread
from ablations.record.file import text

ROOT = Path(__file__).resolve().parent.parent.parent
CELLS = (10, 100, 1000, 10_000)
SEEDS = 5
BLOCKS = 1743  # windows of 64 characters in Tiny Shakespeare's validation text
# What runs says at its end how much memory it took at most; asked from outside, it would be what started it, too.
RUN = r"""
import pathlib, re, resource, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
own = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])
print((own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)
"""
READING = """
import gc, sys
sys.path.insert(0, ".")
gc.disable()
from ablations import record
record.load_all(sys.argv[1], "many")
"""
WAYS = ("tables from files alone", "tables again", "tables, one new record", "reading whole records")


@dataclass(frozen=True)
class Spent:
    """What one process took."""

    seconds: float  # by the clock on the wall
    computing: float  # of its forks, too
    megabytes: float  # at most, with the largest of its forks: what they share counts twice


def records(setup: Setup) -> Iterator[Table]:
    """A table and a panel each for seconds and memory."""
    cells = CELLS[:2] if setup.quick else CELLS
    columns = ["records", *(f"{way}, {unit}" for way in WAYS for unit in ("s", "s computing", "MB"))]
    table = Table("All tables of a study", columns)
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {"s": {}, "MB": {}}
    for count in cells:
        found = _ways(count, 1 if setup.quick else min(3, setup.rounds))
        row, middle = [f"{count:,}"], 0.0
        for way, spent in found.items():
            table.samples[f"{way}, {count} records"] = [one.seconds for one in spent]
            middle = spread([one.seconds for one in spent]).median
            computing, most = spread([one.computing for one in spent]).median, max(one.megabytes for one in spent)
            row += [f"{middle:.2f}", f"{computing:.2f}", f"{most:.0f}"]
            lines["s"].setdefault(way, []).append((count, middle))
            lines["MB"].setdefault(way, []).append((count, most))
        table.rows.append(row)
    table.notes = [
        f"each made from one of study `shakespeare`, with a seed, signature, scores and {BLOCKS:,} blocks of its own; "
        f"{SEEDS} seeds a setting; {_size()} kB a record; Markdown, CSV and LaTeX",
        "each a process of its own, from start to end: seconds by the clock and of computing, medians; memory at most, "
        "that of a fork added though they share much of it",
        f"processors: {os.cpu_count()}; load when it ended: {os.getloadavg()[0]:.1f}",
        "bar: all tables of 10,000 records from files alone in 5 s and 500 MB",
    ]
    panels = {"records": ("s", lines["s"]), "records of a study": ("MB", lines["MB"])}
    table.picture = draw(setup.folder() / "records", panels)
    yield table


def made(count: int, start: int = 0) -> Iterator[dict]:
    """Five seeds of each setting, at learning rates of their own; all else from the study `shakespeare`, by turns."""
    real = sorted((ROOT / "results" / "records" / "shakespeare").glob("*-s0-*.json"))
    templates = [record.load(file) for file in real]
    for number in range(start, start + count):
        setting, seed = divmod(number, SEEDS)
        template, noise = templates[setting % len(templates)], random.Random(number)
        config = {**template["config"], "seed": seed, "study": {**template["config"]["study"], "name": "many"}}
        config["optim"] = {**config["optim"], "lr": round(1e-3 + 1e-6 * setting, 6)}
        own = {"seed": seed, "study": "many", "config": config, "signature": record.signature(config)}
        shift = noise.gauss(0, 0.01)
        own["scores"] = {"valid": _shifted(template["scores"]["valid"], shift)}
        own["curve"] = [
            {key: value if key == "step" else value + shift for key, value in p.items()} for p in template["curve"]
        ]
        own["decoding"] = {
            "tokens_per_second": 2000 + noise.gauss(0, 50),
            "rows": 32,
            "tokens": 16,
            "precision": "fp32",
        }
        own["decoding"]["cache_bytes_per_token"] = 4.0 * template["budget"]["cache_numbers_per_token"]
        losses = np.random.default_rng(number).normal(115, 10, BLOCKS).astype(np.float32)
        blocks = {"nll": units.pack(losses), "tokens": units.pack(np.full(BLOCKS, 64, np.int32))}
        yield {**template, **own, "units": {"valid": blocks}}


def lay_out(entries: Iterator[dict], results: Path) -> None:
    """Writes records as runs do, without waiting for the disk."""
    for entry in entries:
        file = record.path(results, entry)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(entry), encoding="utf-8")


def _ways(count: int, rounds: int) -> dict[str, list[Spent]]:
    with tempfile.TemporaryDirectory() as name:
        results, found = Path(name), {way: [] for way in WAYS}
        lay_out(made(count), results)
        time.sleep(2.5)  # the index does not trust a file that is younger
        (reading := Path(name) / "reading.py").write_text(READING)
        tables = ["scripts/tables.py", "--results", str(results)]
        for number in range(rounds):
            for file in (results / "work" / "index").glob("*"):
                file.unlink()
            found[WAYS[0]].append(_spent(tables))
            found[WAYS[1]].append(_spent(tables))
            lay_out(made(1, count + number), results)
            found[WAYS[2]].append(_spent(tables))
            found[WAYS[3]].append(_spent([str(reading), str(results)]))
    return found


def _spent(words: list[str]) -> Spent:
    """Runs a Python script. Raises RuntimeError with what it said where it fails."""
    begun, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, cwd=ROOT)
    seconds, after = time.perf_counter() - begun, os.times()
    if done.returncode:
        raise RuntimeError(done.stderr)
    computing = after.children_user + after.children_system - before.children_user - before.children_system
    return Spent(seconds, computing, float(done.stdout.splitlines()[-1]))


def _shifted(scores: dict, shift: float) -> dict:
    """Scores of a run whose loss is larger by so many nats."""
    ratio = math.exp(shift)
    changed = {key: value * ratio for key, value in scores.items() if re.fullmatch(r"token_perplexity|byte.*", key)}
    return {**scores, **changed, "nll": scores["nll"] + shift}


def _size() -> int:
    return len(json.dumps(next(made(1)), indent=1)) // 1000
