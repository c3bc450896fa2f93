"""Whether the roles pull their shared matrix the same way: cosines of their gradients, over training."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing
from ablations.figures.material import Material, Record
from ablations.figures.training import PAIRS, Points, mean_over_sites, over_training


def draw(material: Material) -> Iterator[Drawing]:
    """From -1, against each other, to 1; only strategies that share a matrix have such numbers."""
    titles = [f"cosine, {pair}" for pair in PAIRS.values()]
    yield over_training(material, "Cosines of the roles' gradients", titles, lines, (-1, 1))


def lines(run: Record) -> list[Points]:
    """Cosine of each two roles' gradients of their shared matrix, mean over sites."""
    return [mean_over_sites(run, "gradients", lambda site, pair=pair: [site["cosine"].get(pair)]) for pair in PAIRS]
