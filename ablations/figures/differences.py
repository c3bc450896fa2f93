"""Differences to the baseline: each pair of runs of one seed a dot, the mean with its 95 % t interval, the margin."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from ablations.figures.canvas import Drawing, nothing
from ablations.figures.dots import in_rows
from ablations.figures.intervals import limits, row, words
from ablations.figures.material import Material
from ablations.tables import SCORES, Column, Evidence, Row

# Of a word at the right of a row.
PLACE: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "annotation_clip": False}
PLACE |= {"va": "center", "fontsize": 6.5}


def draw(material: Material) -> Iterator[Drawing]:
    """Setting minus baseline, on the scale of the tests: of perplexity the difference of logarithms, in nats.

    The margin that the study names is a hatched band; the verdict of the tables stands at the right.
    """
    found = {column: weighed for column in material.columns if (weighed := evidence(material, column))}
    if not found:
        yield nothing(f"no setting has a seed in common with the baseline {material.baseline}")
        return
    names = [
        name
        for name, row in material.rows.items()
        if any(name in weighed for weighed in found.values()) or (row.against and _gone(row, found))
    ]
    figure, panels = in_rows([_label(material.rows[name], name, next(iter(found))) for name in names], len(found))
    sentences = [f"Differences to {material.baseline} by seed as dots, their mean with its 95 % t interval."]
    for panel, (column, weighed) in zip(panels, found.items(), strict=True):
        dots = {name: pairs(material, name, column) for name in weighed}
        margin, unit = next(iter(weighed.values())).margin, unit_of(column)
        band = [-margin, margin] if margin else []
        summaries = [one.difference for one in weighed.values()]
        panel.set_xlim(limits([0, *band, *(dot for seeds in dots.values() for dot in seeds)], summaries))
        if band:
            panel.axvspan(*band, facecolor="0.93", edgecolor="0.7", hatch="////", linewidth=0, zorder=0)
            sentences.append(f"Margin: {margin:.3g} {unit}.")
        panel.axvline(0, color="black", linewidth=0.8, zorder=1)
        for name in (name for name in names if name not in weighed):
            panel.annotate("no pair", (1, names.index(name)), (4, 0), **PLACE)
            cell = material.rows[name].cells.get(column)
            lost = ", ".join(f"{count} {what}" for what, count in cell.missing.items()) if cell else ""
            sentences.append(f"{name}: no pair of runs{f', {lost}' if lost else ''}.")
        for name, one in weighed.items():
            at = names.index(name)
            row(panel, at, material.looks[name], dots[name], one.difference)
            panel.annotate(one.verdict, (1, at), (4, 0), **PLACE)
            sentences.append(f"{name}: {words(one.difference, '+.3g')} {unit}, n={one.difference.n}, {one.verdict}.")
        better = f"{'right' if column.higher else 'left'} of 0 is better"
        panel.set(xlabel=f"\u0394 {unit}, {column.split}\n{better}{', margin hatched' if band else ''}")
    yield Drawing(figure, f"Differences to {material.baseline} ({material.task})", " ".join(sentences))


def evidence(material: Material, column: Column) -> dict[str, Evidence]:
    """Setting -> what its comparison with the baseline comes to, where there is one."""
    cells = {name: row.cells[column] for name, row in material.rows.items() if column in row.cells}
    return {name: cell.evidence for name, cell in cells.items() if cell.evidence is not None}


def pairs(material: Material, name: str, column: Column) -> list[float]:
    """Setting minus the baseline's setting that tables compare it with, by common seed, on the scale of the tests."""
    own = material.rows[name]
    base = next(row for row in material.rows.values() if row.setting == own.against)
    ours, theirs = own.cells[column].scores, base.cells[column].scores
    scale = math.log if column.ratio else float
    return [scale(ours[seed]) - scale(theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def unit_of(column: Column) -> str:
    """Of a difference."""
    title, _ = SCORES[column.score]
    return f"log {title} (nats; 0.01 is 1 %)" if column.ratio else title


def _gone(row: Row, columns: Iterable[Column]) -> bool:
    """Whether runs of a setting came to no score."""
    return any(column in row.cells and row.cells[column].missing for column in columns)


def _label(row: Row, name: str, column: Column) -> str:
    """Such as "shared (n=3, 1 diverged)", n being pairs."""
    cell = row.cells[column]
    count = cell.evidence.difference.n if cell.evidence else 0
    return f"{name} ({', '.join([f'n={count}', *(f'{lost} {what}' for what, lost in cell.missing.items())])})"
