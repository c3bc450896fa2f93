"""Headline scores: every seed a dot, the mean with its 95 % t interval beside, a panel for each score."""

from collections.abc import Iterator
from typing import Any

from ablations.figures.canvas import Drawing, nothing, wrapped
from ablations.figures.intervals import label, limits, possible, row, words
from ablations.figures.material import Material
from ablations.figures.style import NARROW, WIDE
from ablations.tables import SCORES


def draw(material: Material) -> Iterator[Drawing]:
    """Settings from above in the order of the tables; how many runs came to no score stands beside their name."""
    cells = {
        column: {name: row.cells[column] for name, row in material.rows.items() if column in row.cells}
        for column in material.columns
    }
    scored = [column for column in cells if any(cell.scores for cell in cells[column].values())]
    if not scored:
        yield nothing("no run has a headline score on record")
        return
    names = {name: label(name, cell) for name, cell in cells[scored[0]].items()}
    figure, panels = in_rows(list(names.values()), len(scored))
    sentences = ["Scores of the seeds as dots, their mean with its 95 % t interval."]
    for panel, column in zip(panels, scored, strict=True):
        title, decimals = SCORES[column.score]
        summaries = {name: cell.summary for name, cell in cells[column].items() if cell.summary}
        dots = {name: list(cells[column][name].scores.values()) for name in summaries}
        panel.set_xlim(limits([dot for found in dots.values() for dot in found], summaries.values(), possible(column)))
        for name, summary in summaries.items():
            row(panel, list(names).index(name), material.looks[name], dots[name], summary)
        for name, cell in cells[column].items():
            score = words(cell.summary, f".{decimals}f") if cell.summary else "none"
            sentences.append(f"{label(name, cell)}: {title} {score}.")
        panel.set(xlabel=f"{title}, {column.split}")
    yield Drawing(figure, f"Scores by seed ({material.task})", " ".join(sentences))


def in_rows(labels: list[str], panels: int) -> tuple[Any, Any]:
    """An empty figure with a row for each label, the first above, and its panels side by side."""
    from matplotlib.figure import Figure

    texts = [wrapped(text) for text in labels]
    lines = sum(text.count("\n") + 1 for text in texts)
    figure = Figure(figsize=(NARROW if panels == 1 else WIDE, 0.8 + max(0.3 * len(texts), 0.15 * lines)))
    row = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
    for panel in row:
        panel.grid(axis="y", color="0.9", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.locator_params(axis="x", nbins=6)
    row[0].set_yticks(range(len(texts)), texts)
    row[0].set_ylim(len(texts) - 0.5, -0.5)
    return figure, row
