"""How far apart the subspaces are that two roles look at, over training."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing
from ablations.figures.material import Material, Record
from ablations.figures.training import PAIRS, Points, mean_over_sites, over_training


def draw(material: Material) -> Iterator[Drawing]:
    """In degrees from 0, the same subspace, to 90; random subspaces as large for comparison."""
    titles = [f"degrees, {pair}" for pair in PAIRS.values()]
    yield over_training(material, "Angles between the roles' subspaces", titles, lines, (0, 90), random)


def lines(run: Record) -> list[Points]:
    """Mean principal angle of each two roles, mean over the heads of all sites."""
    return [mean_over_sites(run, "projections", lambda site, pair=pair: site["angle"][pair]) for pair in PAIRS]


def random(run: Record) -> list[float | None]:
    """The same of random subspaces as large."""
    found = [mean_over_sites(run, "projections", lambda site, p=pair: [site["random_angle"][p]]) for pair in PAIRS]
    return [points[max(points)] if points else None for points in found]
