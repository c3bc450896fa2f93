"""How the cost of a step grows with each size of a model, and that of a study's tables with its records."""

from collections.abc import Iterator

import torch

from ablations.bench.lines import draw
from ablations.bench.records import records
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.step import steps
from ablations.bench.timing import interleaved, once, ratio, spread
from ablations.compose import compose
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


def scaling(setup: Setup) -> Iterator[Table]:
    """A table and a panel for each axis; then the records."""
    panels = {}
    for axis in AXES:
        table, points = _axis(setup, axis)
        panels[axis] = ("ms a step", {axis: points})
        if len(panels) == len(AXES):
            table.picture = draw(setup.folder() / "scaling-step", panels)
        yield table
    yield from records(setup)


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
