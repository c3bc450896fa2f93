"""Validation loss over the learning rate, where a study varies it: a line per strategy, its best rate marked."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing, legend, legend_height, nothing
from ablations.figures.material import Material
from ablations.figures.style import NARROW, looks
from ablations.tables.rates import tuned


def draw(material: Material) -> Iterator[Drawing]:
    """Mean over seeds, the range of the seeds as a band; at the upper edge the runs that diverged, with their number.

    The best rate is that of the tables: the lowest mean among rates of the most seeds where no run diverged, if there
    is such a one.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullLocator

    groups = {one.name: one for one in tuned(list(material.rows.values()), material.task) if one.losses}
    if not groups:
        yield nothing("no setting was trained at several rates (optim.lr)")
        return
    shown = looks(groups)
    figure = Figure(figsize=(NARROW, 2.4 + legend_height(groups, NARROW)))
    panel = figure.subplots()
    sentences = ["Validation loss over the learning rate, mean over seeds with their range as a band."]
    for name, one in groups.items():
        found, look = {rate: list(by_seed.values()) for rate, by_seed in one.by_seed.items()}, shown[name]
        rates = [float(rate) for rate in found]
        panel.plot(rates, [one.losses[rate] for rate in found], label=name, **look.line)
        low, high = ([end(values) for values in found.values()] for end in (min, max))
        panel.fill_between(rates, low, high, color=look.colour, alpha=0.18, linewidth=0)
        if one.best is not None:
            ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": look.colour}
            panel.plot([float(one.best)], [one.losses[one.best]], linestyle="none", marker="o", **ring)
        told = ", ".join(f"{one.losses[rate]:.4g} at {rate} (n={len(values)})" for rate, values in found.items())
        sentences.append(f"{name}: {told}; best at {one.best}.")
    panel.set(xscale="log", xlabel="learning rate (each setting's best ringed)", ylabel="validation loss (nats)")
    panel.set_xticks(sorted({float(rate) for one in groups.values() for rate in one.rows}))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # our style has no mathematics
    panel.margins(x=0.1, y=0.12)
    panel.set_ylim(panel.get_ylim())
    for number, (name, one) in enumerate(groups.items()):
        for rate, lost in one.diverged.items():
            height = 1 + 0.07 * number  # of the axes: one above the other where several diverged
            edge = {"transform": panel.get_xaxis_transform(), "clip_on": False}
            panel.plot([float(rate)], [height], **shown[name].point, **edge)
            panel.text(float(rate), height, f"  {lost} diverged", va="center", fontsize=6.5, **edge)
            sentences.append(f"{name}: {lost} diverged at {rate}.")
    legend(figure, [panel], NARROW)
    yield Drawing(figure, f"Validation loss by learning rate ({material.task})", " ".join(sentences))
