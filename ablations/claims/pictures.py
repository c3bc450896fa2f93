"""Pictures of exact checks: small matrices side by side, PNG and SVG."""

from pathlib import Path

from ablations.exact.findings import Picture
from ablations.files import whole_file


def draw(picture: Picture, stem: Path) -> list[Path]:
    """Writes `<stem>.svg` and `<stem>.png`; each row of panels has one scale, shown at its side.

    A panel is a matrix, a row for each word that looks and a column for each that is looked at, its numbers written in.
    The same picture gives the same bytes.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    high, wide = len(picture.panels), max(len(row) for row in picture.panels)
    with matplotlib.rc_context({"svg.hashsalt": "qkv", "font.size": 9, "svg.fonttype": "path"}):
        figure = Figure(figsize=(2.6 * wide + 1, 2.6 * high + 0.5), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(high, wide, squeeze=False)
        for row, axes in zip(picture.panels, grid, strict=True):
            numbers = [number for _, matrix in row for line in matrix for number in line]
            low, top = min(numbers), max(numbers)
            shades = ScalarMappable(Normalize(low, top), "viridis")
            figure.colorbar(shades, ax=list(axes), shrink=0.8)
            for (caption, matrix), axis in zip(row, axes, strict=True):
                axis.imshow(matrix, cmap=shades.cmap, norm=shades.norm)
                axis.set_title(caption)
                axis.set_xticks(range(len(picture.labels)), picture.labels)
                axis.set_yticks(range(len(picture.labels)), picture.labels)
                for i, line in enumerate(matrix):
                    for j, number in enumerate(line):
                        dark = number < (low + top) / 2
                        axis.text(j, i, f"{number:.2f}", ha="center", va="center", color="white" if dark else "black")
        figure.suptitle(picture.title)
        written = []
        for suffix, metadata in ((".svg", {"Date": None, "Creator": None}), (".png", {"Software": None})):
            written.append(stem.with_name(stem.name + suffix))
            with whole_file(written[-1], "wb") as file:
                figure.savefig(file, format=suffix[1:], dpi=120, metadata=metadata)
    return written
