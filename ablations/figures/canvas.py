"""What figures are drawn on: a drawing with words for who cannot see it, legends, and files of the same bytes."""

import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ablations.figures.style import LETTER
from ablations.files import whole_file

DPI = 150


@dataclass(frozen=True)
class Drawing:
    """A figure, or none; what it shows, in words; a sentence for each thing that is missing."""

    figure: Any
    title: str = ""
    description: str = ""
    missing: list[str] = field(default_factory=list)
    part: str = ""  # where one name has several figures, such as a site: the end of the file's name


def nothing(*sentences: str) -> Drawing:
    """No figure, and why."""
    return Drawing(None, missing=list(sentences))


def legend(figure: Any, axes: Iterable[Any], width: float) -> None:
    """One entry for each label in the axes, under the figure, in as many columns as its width (inches) has room for."""
    entries = {text: line for panel in axes for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    if entries:
        columns = min(_columns(entries, width), len(entries))
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False)


def legend_height(labels: Iterable[str], width: float) -> float:
    """Inches that such a legend will take, before there is one; `labels` may lack what comes after a name."""
    longer = [label + " (n=3)" for label in labels]
    return 0.16 * math.ceil(len(longer) / _columns(longer, width)) + 0.1


def _columns(labels: Iterable[str], width: float) -> int:
    return max(1, int(width / (LETTER * max(map(len, labels)) + 0.6)))


def wrapped(label: str, width: int = 30) -> str:
    """A long label on several lines, broken after commas."""
    lines = [""]
    for part in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f"{part}, "
    return "\n".join(lines).removesuffix(", ").replace(", \n", ",\n")


def save(figure: Any, stem: Path, title: str = "", description: str = "") -> list[Path]:
    """Writes stem.png and stem.svg whole, without dates or versions, so that nothing changes with the clock.

    Title and description are for screen readers: elements of the SVG, text fields of the PNG. The PNG has a palette of
    256 colours, which makes it a third of the size.
    """
    written = []
    for kind, drawn in {"png": _png(figure, title, description), "svg": _svg(figure, title, description)}.items():
        path = stem.with_name(f"{stem.name}.{kind}")
        with whole_file(path, "wb") as file:
            file.write(drawn)
        written.append(path)
    return written


def _png(figure: Any, title: str, description: str) -> bytes:
    """Finds the layout, too. `savefig` would draw everything twice, once for the layout alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    small, words = io.BytesIO(), PngInfo()
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()
    for name, text in {"Title": title, "Description": description}.items():
        if text:
            words.add_text(name, text)
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(small, "png", optimize=True, dpi=(DPI, DPI), pnginfo=words)
    return small.getvalue()


def _svg(figure: Any, title: str, description: str) -> bytes:
    """With `<title>` and `<desc>`; what matplotlib calls a description is metadata that no screen reader reads."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    drawn = io.BytesIO()
    figure.set_layout_engine("none")  # that of the PNG stays
    FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue().decode()
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d{3})\d+", r"\1", path[0]), svg)  # a thousandth of a point
    names = [(name, text) for name, text in (("title", title), ("desc", description)) if text]
    if names:
        words = "".join(f'\n <{name} id="{name}">{escape(text)}</{name}>' for name, text in names)
        labels = f' role="img" aria-labelledby="{" ".join(name for name, _ in names)}"'
        svg = re.sub(r"(<svg\b[^>]*)>", lambda tag: f"{tag[1]}{labels}>{words}", svg, count=1)
    return svg.encode()
