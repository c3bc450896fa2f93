"""A figure of how a cost grows, in the style of all figures."""

from pathlib import Path

from ablations import figures

Points = list[tuple[float, float]]


def draw(stem: Path, panels: dict[str, tuple[str, dict[str, Points]]]) -> str:
    """Writes stem.png and stem.svg and returns the name of the first.

    A panel for each x-axis, both axes logarithmic; (y-axis, label -> points) each.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

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
            panel.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
            for axis in (panel.xaxis, panel.yaxis):  # our style has no mathematics in letters, as 10^3 would be
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
            panel.xaxis.set_minor_locator(NullLocator())
            if len(lines) > 1:
                panel.legend(frameon=False)
        return figures.save(figure, stem)[0].name
