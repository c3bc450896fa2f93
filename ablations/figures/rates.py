"""Validation loss over the learning rate, where a study varies it: a line per strategy, its best rate marked."""

from collections.abc import Iterator

from ablations.figures.canvas import Drawing, legend, legend_height, nothing
from ablations.figures.material import Material, Record, by_setting
from ablations.figures.style import NARROW, looks

Rates = dict[float, list[Record]]  # learning rate -> its runs, whatever became of them


def draw(material: Material) -> Iterator[Drawing]:
    """Mean over seeds, the range of the seeds as a band; at the upper edge the runs that diverged, with their number.

    The best rate has the lowest mean among those at which no run was lost, or among all where every rate lost some.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullLocator

    groups = {name: rates for name, rates in by_rate(material).items() if len(rates) > 1 and losses(rates)}
    if not groups:
        yield nothing("no setting was trained at several rates (optim.lr)")
        return
    shown = looks(groups)
    figure = Figure(figsize=(NARROW, 2.4 + legend_height(groups, NARROW)))
    panel = figure.subplots()
    sentences = ["Validation loss over the learning rate, mean over seeds with their range as a band."]
    for name, rates in groups.items():
        found, best, look = losses(rates), chosen(rates), shown[name]
        means = {rate: sum(values) / len(values) for rate, values in found.items()}
        panel.plot(list(means), list(means.values()), label=name, **look.line)
        low, high = ([end(found[rate]) for rate in means] for end in (min, max))
        panel.fill_between(list(means), low, high, color=look.colour, alpha=0.18, linewidth=0)
        ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": look.colour, "markeredgewidth": 1.3}
        panel.plot([best], [means[best]], linestyle="none", marker="o", **ring)
        told = ", ".join(f"{mean:.4g} at {rate:g} (n={len(found[rate])})" for rate, mean in means.items())
        sentences.append(f"{name}: {told}; best at {best:g}.")
    panel.set(xscale="log", xlabel="learning rate (each setting's best ringed)", ylabel="validation loss (nats)")
    panel.set_xticks(sorted({rate for rates in groups.values() for rate in rates}))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # our style has no mathematics
    panel.margins(x=0.1, y=0.12)
    for height, (name, rates) in enumerate(groups.items()):
        for rate, runs in rates.items():
            if lost := sum(run["status"] == "diverged" for run in runs):
                place = {"xy": (rate, 1), "xycoords": ("data", "axes fraction"), "xytext": (0, 8 * height)}
                style = {"color": shown[name].colour, "ha": "center", "fontsize": 7, "annotation_clip": False}
                panel.plot([rate], [1], transform=panel.get_xaxis_transform(), clip_on=False, **shown[name].point)
                panel.annotate(f"{lost} diverged", textcoords="offset points", **place, **style)
                sentences.append(f"{name}: {lost} of {len(runs)} diverged at {rate:g}.")
    legend(figure, [panel], NARROW)
    yield Drawing(figure, f"Validation loss by learning rate ({material.task})", " ".join(sentences))


def by_rate(material: Material) -> dict[str, Rates]:
    """Setting without its rate -> rate, rising -> its runs. The baseline's setting is the first."""
    leveled = []
    for run in (run for runs in material.every.values() for run in runs):
        config = {**run["config"], "optim": {**run["config"]["optim"], "lr": 0.0}}  # not what settings differ in
        kept = {key: value for key, value in run.items() if key != "signed"}
        leveled.append({**kept, "config": config, "rate": run["config"]["optim"]["lr"]})
    found: dict[str, Rates] = {}
    for name, runs in by_setting(leveled).items():
        rates = sorted({run["rate"] for run in runs})
        found[name] = {rate: [run for run in runs if run["rate"] == rate] for rate in rates}
    return found


def losses(rates: Rates) -> dict[float, list[float]]:
    """Rate -> validation losses of the runs that have one; rates without any are left out."""
    found = {rate: [_loss(run) for run in runs] for rate, runs in rates.items()}
    return {rate: known for rate, all_of in found.items() if (known := [loss for loss in all_of if loss is not None])}


def chosen(rates: Rates) -> float:
    """The rate with the lowest mean loss; one at which a run was lost only where every rate lost some."""
    found = losses(rates)
    whole = [rate for rate in found if all(run["status"] == "finished" for run in rates[rate])]
    return min(whole or found, key=lambda rate: sum(found[rate]) / len(found[rate]))


def _loss(run: Record) -> float | None:
    """In nats per token, or per example."""
    finished = run["status"] == "finished"
    return (run.get("scores") or {}).get("valid", {}).get("nll") if finished else None
