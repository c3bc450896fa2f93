"""A figure of how a cost grows, in the style of all figures."""

from pathlib import Path

from ablations import figures

Points = list[tuple[float, float]]


def draw(stem: Path, panels: dict[str, tuple[str, dict[str, Points]]]) -> list[Path]:
    """Writes stem.png and stem.svg: a panel for each x-axis, both axes logarithmic; (y-axis, label -> points) each."""
    from matplotlib.figure import Figure

    with figures.style():
        figure = Figure(figsize=(2.9 * len(panels) + 0.6, 2.9))
        for panel, (x_axis, (y_axis, lines)) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for number, (label, points) in enumerate(lines.items()):
                panel.plot(
                    *zip(*points, strict=True),
                    label=label,
                    color=figures.COLOURS[number],
                    linestyle=figures.DASHES[number],
                    marker=figures.MARKERS[number],
                    markersize=4,
                )
            panel.set(xlabel=x_axis, ylabel=y_axis, xscale="log", yscale="log")
            if len(lines) > 1:
                panel.legend(frameon=False)
        return figures.save(figure, stem)
