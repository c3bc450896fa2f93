"""How much attention a position pays to itself, over training."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing
from ablations.figures.material import Material, Record
from ablations.figures.training import Points, mean_over_sites, over_training


def draw(material: Material) -> Iterator[Drawing]:
    """From 0 to 1."""
    yield over_training(material, "Attention to the own position", ["weight on the own position"], lines, (0, 1))


def lines(run: Record) -> list[Points]:
    """Mean weight on the own position over all heads of all self-attention sites."""
    return [mean_over_sites(run, "scores", lambda site: site.get("own_position"))]
