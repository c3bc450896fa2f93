"""Learning curves: training loss and validation loss over steps, all settings in the same axes."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing
from ablations.figures.material import Material, Record
from ablations.figures.training import Points, over_training


def draw(material: Material) -> Iterator[Drawing]:
    """In nats per token. A loss seen at one step only is no curve."""
    yield over_training(material, "Learning curves", ["training loss (nats)", "validation loss (nats)"], lines, least=2)


def lines(run: Record) -> list[Points]:
    """Steps at which a loss was not finite have no point."""
    return [{p["step"]: p[key] for p in run["curve"] if p.get(key) is not None} for key in ("loss", "valid_nll")]
