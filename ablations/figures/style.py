"""How every figure looks: letters, sizes, and one colour, dash and marker for each setting of a study.

Colours are seven of Okabe & Ito (2008) and the wine of Tol (2021) in place of their yellow, whose contrast to white is
1.3; they are told apart by the colour-blind. Dash and marker tell the settings apart in black and white.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (7, 2)), (0, (3, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIZES = {"D": 0.85, "*": 1.4}  # of a marker, to look as large as the others
NARROW, WIDE = 4.2, 7.0  # inches: one panel, and the text width of a page; 8 points stay readable in a column of 3.4
LETTER = 0.068  # inches that a letter of a legend takes, on the wide side
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "qkv",  # the names inside an SVG, random otherwise
    "svg.fonttype": "none",  # letters as text: a fifth of the size of letters as outlines
    "text.parse_math": False,  # a token may be a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.handlelength": 3.2,  # long enough to see a dash
    "figure.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.05,
}


@dataclass(frozen=True)
class Look:
    """How a setting is drawn, in every figure of its study."""

    colour: str
    dash: Any
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `plot` for a line with markers, open: of several at one place all can be seen."""
        mark = {"marker": self.marker, "markersize": 4.5 * SIZES.get(self.marker, 1), "markerfacecolor": "none"}
        return {"color": self.colour, "linestyle": self.dash, "linewidth": 1.3, **mark}

    @property
    def point(self) -> dict[str, Any]:
        """Arguments of `plot` for a marker alone."""
        edge = {"markeredgecolor": "black", "markeredgewidth": 0.5}
        size = 5.5 * SIZES.get(self.marker, 1)
        return {"color": self.colour, "linestyle": "none", "marker": self.marker, "markersize": size, **edge}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each setting. The first, the baseline, shares no part of its own with another.

    Dash and marker together differ among the first 50; colours come again after 8.
    """
    found = {}
    for number, name in enumerate(dict.fromkeys(names)):
        again, at = divmod(number - 1, len(COLOURS) - 1)
        colour, dash, marker = ((at + shift * again) % (len(COLOURS) - 1) + 1 if number else 0 for shift in (0, 1, 2))
        found[name] = Look(COLOURS[colour], DASHES[dash], MARKERS[marker])
    return found


@contextmanager
def style() -> Iterator[None]:
    """Our settings in force, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield
