"""What a score costs: headline score against parameters, and against the numbers remembered per token."""

from collections.abc import Iterable, Iterator
from typing import Any

from ablations.figures.canvas import Drawing, legend, legend_height, nothing
from ablations.figures.intervals import bar, label, limits, possible, words
from ablations.figures.material import Material
from ablations.figures.style import NARROW, WIDE
from ablations.tables import SCORES, Column

PARAMETERS, CACHE, BOTH = "parameters", "numbers cached per token", "numbers cached per target and source token"
SIDE = 6.0  # points between the markers of settings that cost the same
Point = tuple[float, float]  # cost, score


def draw(material: Material) -> Iterator[Drawing]:
    """A marker per setting with its 95 % t interval; the line joins those that no cheaper setting is as good as.

    Settings that cost the same stand side by side, and the axis says so. A cost that all settings share has no panel.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    column = next((column for column in material.columns if _varies(material, column)), None)
    if column is None:
        yield nothing("no two settings have different headline scores on record")
        return
    cells = {name: cell for name, row in material.rows.items() if (cell := row.cells.get(column)) and cell.summary}
    spent = {name: costs(material, name) for name in cells if name in material.runs}
    named = dict.fromkeys(cost for found in spent.values() for cost in found)
    shown = [cost for cost in named if len({found[cost] for found in spent.values() if cost in found}) > 1]
    if not shown:
        yield nothing("all settings on record cost the same")
        return
    title, decimals = SCORES[column.score]
    higher, width = column.higher, NARROW if len(shown) == 1 else WIDE
    figure = Figure(figsize=(width, 2.3 + legend_height(cells, width)))
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    summaries = {name: summary for name in spent if (summary := cells[name].summary)}
    seeds = [score for name in summaries for score in cells[name].scores.values()]
    panels[0].set_ylim(limits(seeds, summaries.values(), possible(column)))
    sentences = [f"{title} of {column.split} against cost, mean with its 95 % t interval."]
    for panel, cost in zip(panels, shown, strict=True):
        points = {name: (spent[name][cost], summaries[name].mean) for name in spent if cost in spent[name]}
        line = front(points.values(), higher)
        panel.plot(*zip(*line, strict=True), color="0.6", linewidth=1, drawstyle="steps-post", zorder=1)
        for name, (x, y) in points.items():
            alike = [other for other in points if points[other][0] == x]
            aside = {"transform": _aside(panel, SIDE * (alike.index(name) - (len(alike) - 1) / 2))}
            bar(panel, material.looks[name], x, summaries[name], upright=True, **aside)
            panel.plot([x], [y], label=label(name, cells[name]), zorder=4, **material.looks[name].point, **aside)
            sentences.append(
                f"{label(name, cells[name])}: {x:,} {cost}, {title} {words(summaries[name], f'.{decimals}f')}."
            )
        beside = len({x for x, _ in points.values()}) < len(points)
        panel.set(xlabel=f"{cost}\n(equal costs drawn side by side)" if beside else cost)
        low, high = min(x for x, _ in points.values()), max(x for x, _ in points.values())
        panel.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))
        panel.xaxis.set_major_formatter(EngFormatter(sep=" "))
        panel.locator_params(axis="x", nbins=5)
        if beside:
            sentences.append(f"Settings of equal {cost} are drawn side by side.")
        best = ", ".join(name for name, point in points.items() if point in line)
        sentences.append(f"No cheaper setting is as good as: {best} ({cost}).")
    rest = {name: row.cells[column] for name, row in material.rows.items() if column in row.cells}
    left = [label(name, cell) for name, cell in rest.items() if name not in summaries]
    if left:
        sentences.append(f"Not drawn, without a score: {', '.join(left)}.")
    panels[0].set_ylabel(f"{title}, {column.split}\n({'higher' if higher else 'lower'} is better)")
    legend(figure, panels, width)
    yield Drawing(figure, f"Score and cost ({material.task})", " ".join(sentences))


def _varies(material: Material, column: Column) -> bool:
    cells = [row.cells[column] for row in material.rows.values() if column in row.cells]
    return len({cell.summary.mean for cell in cells if cell.summary}) > 1


def _aside(panel: Any, points: float) -> Any:
    """The panel's own coordinates, drawn so many points to the right."""
    from matplotlib.transforms import ScaledTranslation

    return panel.transData + ScaledTranslation(points / 72, 0, panel.figure.dpi_scale_trans)


def costs(material: Material, name: str) -> dict[str, int]:
    """Of a setting by name, as far as on record; what a translator remembers of the source counts, as if both were as
    long, and then the name says so."""
    budget = material.rows[name].budget(material.task)
    own, source = budget.get("cache_numbers_per_token"), budget.get("cache_numbers_per_source_token")
    cache = {BOTH: own + source} if own is not None and source else {CACHE: own}
    found = {PARAMETERS: budget.get("parameters"), **cache}
    return {cost: value for cost, value in found.items() if value is not None}


def front(points: Iterable[Point], higher: bool) -> list[Point]:
    """The points that no other beats in one of cost and score without losing in the other, the cheapest first."""
    sign = 1 if higher else -1
    line: list[Point] = []
    for cost, score in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not line or sign * score > sign * line[-1][1]:
            line.append((cost, score))
    return line
