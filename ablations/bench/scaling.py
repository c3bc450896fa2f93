"""How the cost of a step grows with each size of a model, and that of a study's tables with its cells."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from ablations import record
from ablations.bench.lines import draw
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.step import steps
from ablations.bench.timing import interleaved, once, ratio, spread
from ablations.compose import compose
from ablations.files import write_text
from models.init import initialise
from models.transformer import LanguageModel

BASE = {"width": 128, "depth": 4, "length": 64, "batch": 12, "vocabulary": 1000}
AXES = {
    "width": (32, 64, 128, 256, 512),
    "depth": (1, 2, 4, 8, 16),
    "length": (16, 32, 64, 128, 256, 512),
    "batch": (1, 4, 12, 36, 108),
    "vocabulary": (100, 1000, 10_000, 50_000),
}
WAYS = ("reading all files", "tables, the first time", "reading, one new file", "tables, one new file")
CELLS = (10, 100, 1000, 10_000)
ROOT = Path(__file__).resolve().parent.parent.parent
READING = r"""
import gc, json, pathlib, re, sys, time
from ablations import record, writers
gc.disable()  # as scripts/tables.py
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
work = {"files": record.load_all, "index": record.briefs, "tables": writers.write}[sys.argv[2]]
before, begun = peak(), time.process_time()
work(sys.argv[1], "many")
print(json.dumps([time.process_time() - begun, peak() - before]))
"""


def scaling(setup: Setup) -> Iterator[Table]:
    """A table and a panel for each axis; then the cells."""
    panels = {}
    for axis in AXES:
        table, points = _axis(setup, axis)
        panels[axis] = ("ms a step", {axis: points})
        if len(panels) == len(AXES):
            table.picture = draw(setup.folder() / "scaling-step", panels)
        yield table
    yield _cells(setup)


def _axis(setup: Setup, axis: str) -> tuple[Table, list[tuple[float, float]]]:
    """One size changes, the others stand at the base."""
    values = AXES[axis][:2] if setup.quick else AXES[axis]
    precision = "bf16" if setup.device == "cuda" else "fp32"
    works = {}
    for value in values:
        sizes = BASE | {axis: value}
        words = [f"model.d_model={sizes['width']}", f"model.d_ff={4 * sizes['width']}"]
        config = compose(["model=nanogpt_cpu", *words, f"model.decoder_layers={sizes['depth']}", "position=learned"])
        torch.manual_seed(0)
        model = LanguageModel(config.model, config.sites, config.position, sizes["vocabulary"], sizes["length"])
        initialise(model, 0, config.model.init, config.model.decoder_layers)
        tokens = torch.randint(4, sizes["vocabulary"], (sizes["batch"], sizes["length"]), device=setup.place)
        works[str(value)] = once(steps(config, model.to(setup.place), {"tokens": tokens}, tokens, precision))
    samples = interleaved(works, setup.rounds, setup.now, setup.seconds / 2)
    fixed = ", ".join(f"{name} {value}" for name, value in BASE.items() if name != axis)
    table = Table(f"A language model's step by {axis}; {fixed}; {precision}", [axis, "ms", f"times {axis} {values[0]}"])
    points = []
    for value in values:
        found = spread([1000 * seconds for seconds in samples[str(value)]]).median
        points.append((float(value), found))
        table.rows.append([f"{value:,}", f"{found:.2f}", str(ratio(samples, str(value), str(values[0])))])
    table.samples = samples
    return table, points


def _cells(setup: Setup) -> Table:
    """`make tables` on records made from a real one, each time in a process of its own."""
    cells = CELLS[:2] if setup.quick else CELLS
    columns = ["cells", *(f"{what}, {unit}" for what in WAYS for unit in ("s", "MB")), "files / one new"]
    table = Table("Making the tables of a study", columns)
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {"s": {}, "MB": {}}
    for count in cells:
        with tempfile.TemporaryDirectory() as name:
            results = Path(name)
            made = _records(count + 2)
            for entry in made[:-2]:
                write_text(record.path(results, entry), json.dumps(entry))
            time.sleep(2.5)  # the index does not trust a file that is younger
            found = {WAYS[0]: _timed(results, "files"), WAYS[1]: _timed(results, "tables")}
            for way, entry, what in zip(WAYS[2:], made[-2:], ("index", "tables"), strict=True):
                write_text(record.path(results, entry), json.dumps(entry))
                found[way] = _timed(results, what)
        row = [f"{count:,}"]
        for what, (seconds, megabytes) in found.items():
            table.samples[f"{what}, {count} cells"] = [seconds]
            lines["s"].setdefault(what, []).append((count, seconds))
            lines["MB"].setdefault(what, []).append((count, max(megabytes, 0.1)))
            row += [f"{seconds:.3f}", f"{megabytes:.1f}"]
        table.rows.append([*row, f"{found[WAYS[0]][0] / found[WAYS[2]][0]:.1f}"])
    table.notes.append(
        "records copied from a real one, seeds and signatures their own; seconds of computing, peak memory"
    )
    table.notes.append(
        "bar: with one new record in 10,000 a twentieth of reading all files (the last column: 20 or more)"
    )
    panels = {"cells": ("s", lines["s"]), "cells of a study": ("MB", lines["MB"])}
    table.picture = draw(setup.folder() / "scaling-cells", panels)
    return table


def _records(count: int) -> list[dict]:
    """Five seeds of each setting, at learning rates of their own; all else from the study `shakespeare`, by turns."""
    real = sorted((ROOT / "results" / "records" / "shakespeare").glob("*-s0-*.json"))
    templates = [json.loads(file.read_text(encoding="utf-8")) for file in real]
    made = []
    for number in range(count):
        setting, seed = divmod(number, 5)
        template = templates[setting % len(templates)]
        config = {**template["config"], "seed": seed, "study": {**template["config"]["study"], "name": "many"}}
        config["optim"] = {**config["optim"], "lr": round(1e-3 + 1e-6 * setting, 6)}
        own = {"seed": seed, "study": "many", "config": config, "signature": record.signature(config)}
        made.append({**template, **own})
    return made


def _timed(results: Path, what: str) -> tuple[float, float]:
    """Seconds and MB of reading files, of reading by the index, or of making tables, packages loaded before."""
    command = [sys.executable, "-c", READING, str(results), what]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes
