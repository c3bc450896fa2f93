"""Differences to the baseline: each pair of runs of one seed a dot, the mean with its 95 % t interval, the margin."""

import math
from collections.abc import Iterable, Iterator

from ablations import stats
from ablations.figures.canvas import Drawing, nothing
from ablations.figures.dots import in_rows
from ablations.figures.intervals import HIGHER, limits, row, words
from ablations.figures.material import Material
from ablations.tables import SCORES, Column, Row

LOGARITHMIC = ("token_perplexity", "word_perplexity", "byte_perplexity")  # a share of it is a difference of logarithms


def draw(material: Material) -> Iterator[Drawing]:
    """Setting minus baseline; of perplexity the difference of logarithms, in nats. The margin is a hatched band."""
    found = {column: pairs for column in material.columns if (pairs := differences(material, column))}
    if not found:
        yield nothing(f"no setting has a seed in common with the baseline {material.baseline}")
        return
    names = [name for name in material.rows if any(name in pairs for pairs in found.values())]
    first = next(iter(found.values()))
    figure, panels = in_rows(
        [_label(material.rows[name], name, len(first.get(name, []))) for name in names], len(found)
    )
    sentences = [f"Differences to {material.baseline} by seed as dots, their mean with its 95 % t interval."]
    for panel, (column, pairs) in zip(panels, found.items(), strict=True):
        margin, unit = margin_of(material, column), unit_of(column)
        summaries = {name: stats.summarize(dots) for name, dots in pairs.items()}
        band = [-margin, margin] if margin else []
        panel.set_xlim(limits([0, *band, *(dot for dots in pairs.values() for dot in dots)], summaries.values()))
        if band:
            panel.axvspan(*band, facecolor="0.93", edgecolor="0.7", hatch="////", linewidth=0, zorder=0)
            sentences.append(f"Margin: {margin:.3g} {unit}.")
        panel.axvline(0, color="black", linewidth=0.8, zorder=1)
        for name, summary in summaries.items():
            row(panel, names.index(name), material.looks[name], pairs[name], summary)
            sentences.append(f"{name}: {words(summary, '+.3g')} {unit}, {summary.n} pairs.")
        better = f"{'right' if column.score in HIGHER else 'left'} of 0 is better"
        panel.set(xlabel=f"\u0394 {unit}, {column.split}\n{better}{', margin hatched' if band else ''}")
    yield Drawing(figure, f"Differences to {material.baseline} ({material.task})", " ".join(sentences))


def differences(material: Material, column: Column) -> dict[str, list[float]]:
    """Setting -> what each seed that it has in common with the baseline says, seeds in order."""
    found = {}
    for name, setting in material.rows.items():
        base = _base(setting, material.rows.values())
        if base is None or column not in setting.cells or column not in base.cells:
            continue
        own, theirs = setting.cells[column].scores, base.cells[column].scores
        scale = math.log if column.score in LOGARITHMIC else float
        if seeds := sorted(own.keys() & theirs.keys()):
            found[name] = [scale(own[seed]) - scale(theirs[seed]) for seed in seeds]
    return found


def margin_of(material: Material, column: Column) -> float | None:
    """What the study called small before its first run, in the units drawn."""
    if column.score in LOGARITHMIC:
        share = material.asked("margin_perplexity")
        return math.log1p(share) if share else None
    return material.asked("margin_bleu") if column.score == "bleu" else None


def unit_of(column: Column) -> str:
    """Of a difference."""
    title, _ = SCORES[column.score]
    return f"log {title} (nats; 0.01 is 1 %)" if column.score in LOGARITHMIC else title


def _base(row: Row, rows: Iterable[Row]) -> Row | None:
    """The baseline's row that tables compare this one with: that of the same rest, or the only one."""
    bases = [other for other in rows if other.baseline]
    same = [base for base in bases if base.setting.rest == row.setting.rest]
    return None if row.baseline else same[0] if same else bases[0] if len(bases) == 1 else None


def _label(row: Row, name: str, pairs: int) -> str:
    """Such as "shared (3 pairs, 1 diverged)"."""
    missing = {what: count for cell in row.cells.values() for what, count in cell.missing.items()}
    return f"{name} ({', '.join([f'{pairs} pairs', *(f'{count} {what}' for what, count in missing.items())])})"
