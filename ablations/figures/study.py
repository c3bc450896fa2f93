"""All figures of a study: which there are, drawn and written by name."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ablations import record as records
from ablations.figures import (
    angles,
    contexts,
    cosines,
    curves,
    differences,
    dots,
    maps,
    order,
    own_position,
    pareto,
    rates,
)
from ablations.figures.canvas import Drawing, nothing, save
from ablations.figures.material import Material, NoTableError, materials
from ablations.figures.style import style
from models.projections.choice import one_of

# Name -> what draws it, of one task. A new figure is one file and one line.
FIGURES: dict[str, Callable[[Material], Iterator[Drawing]]] = {
    "dots": dots.draw,
    "differences": differences.draw,
    "pareto": pareto.draw,
    "rates": rates.draw,
    "curves": curves.draw,
    "own-position": own_position.draw,
    "role-gradients": cosines.draw,
    "angles": angles.draw,
    "contexts": contexts.draw,
    "order": order.draw,
    "maps": maps.draw,
}


def write(results: str | Path, study: str, names: Sequence[str] | None = None) -> tuple[list[Path], list[str]]:
    """Draws every figure the records of a study allow: the files written, and a sentence for each thing left out.

    `<results>/figures/<study>/<task>-<figure>.png` and `.svg`. The same records give the same bytes. `names`: of
    FIGURES, by default all; ValueError for another one.
    """
    check(names or [])
    written, left_out = [], []
    runs = records.load_all(results, study)
    for run in runs:
        if run["status"] != "finished":
            left_out.append(f"{records.label(run['config'])} {run['status']}: it has no curve, map or analysis")
    folder = Path(results) / "figures" / study
    with style():
        for material in materials(runs):
            for name in names or FIGURES:
                for drawing in drawings(material, name):
                    stem = "-".join(part for part in (material.task, name, drawing.part) if part)
                    left_out += [f"{stem.replace('-', ', ', 1)}: {sentence}" for sentence in drawing.missing]
                    if drawing.figure is not None:
                        written += save(drawing.figure, folder / stem, drawing.title, drawing.description)
    return written, left_out


def drawings(material: Material, name: str) -> list[Drawing]:
    """The figures of a name. Where the runs cannot stand in one table, a sentence in place of what compares them."""
    try:
        return list(FIGURES[name](material))
    except NoTableError as error:
        return [nothing(str(error))]


def check(names: Sequence[str]) -> None:
    """Raises ValueError, with the nearest known name, unless there are such figures."""
    for name in names:
        one_of("figure", name, FIGURES)
