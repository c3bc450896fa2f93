"""How alike one word's vectors are across its contexts, layer by layer, and how alike any two words are."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing, legend, legend_height, nothing
from ablations.figures.material import Material
from ablations.figures.style import WIDE
from ablations.figures.training import Points, last, line

MEASURES = {"self_similarity": "one word in two contexts", "random": "any two words"}


def draw(material: Material) -> Iterator[Drawing]:
    """After the last step on record; layer 0 is the embedding. A row of panels per stack, the same axes for all."""
    from matplotlib.figure import Figure

    layers = {name: [last(run, "context").get("layers", {}) for run in group] for name, group in material.runs.items()}
    stacks = list(dict.fromkeys(stack for group in layers.values() for run in group for stack in run))
    if not stacks:
        yield nothing("no run has such numbers on record")
        return
    figure = Figure(figsize=(WIDE, 2.2 * len(stacks) + legend_height(layers, WIDE)))
    grid = figure.subplots(len(stacks), len(MEASURES), squeeze=False, sharey=True)
    sentences = ["Mean cosine between vectors after training, by layer."]
    for panels, stack in zip(grid, stacks, strict=True):
        for panel, (measure, title) in zip(panels, MEASURES.items(), strict=True):
            for name, group in layers.items():
                seeds = [run[stack][measure] for run in group if stack in run]
                points: list[Points] = [{i: y for i, y in enumerate(seed) if y is not None} for seed in seeds]
                line(panel, name, material.looks[name], points)
                if any(points):
                    ends = [seed[max(seed)] for seed in points if seed]
                    sentences.append(f"{stack}, {title}, {name}: {sum(ends) / len(ends):.3f} in the last layer.")
            panel.set(xlabel="layer", title=f"{stack}: {title}", ylim=(-0.2, 1))
            panel.set_xticks(range(max(len(run[stack][measure]) for g in layers.values() for run in g if stack in run)))
        panels[0].set_ylabel("mean cosine")
    legend(figure, grid.flat, WIDE)
    yield Drawing(figure, f"Likeness across contexts ({material.task})", " ".join(sentences))
