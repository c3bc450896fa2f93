"""Lines over the steps of training: means over seeds, with the range of the seeds as a band."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ablations import record as records
from ablations.figures.canvas import Drawing, legend, legend_height, nothing
from ablations.figures.material import Material, Record, Runs
from ablations.figures.style import NARROW, WIDE, Look

Points = dict[float, float]  # step -> value, of one run
PAIRS = {"qk": "query and key", "qv": "query and value", "kv": "key and value"}
MOST = 8  # settings in one panel; of more, each row of panels has the baseline and some of the others


def over_training(
    material: Material,
    title: str,
    titles: list[str],
    lines: Callable[[Record], list[Points]],
    limits: tuple[float, float] | None = None,
    reference: Callable[[Record], list[float | None]] | None = None,
    least: int = 1,
) -> Drawing:
    """One panel per title, the same axes for all settings; `lines` gives a run's points panel by panel.

    `limits`: of the y axis; without, it reaches as high as any line goes after the first tenth of training.
    `reference`: a level per panel, drawn thin. `least`: a panel whose runs have fewer steps on record is left out. Runs
    without any point are named in a sentence.
    """
    from matplotlib.figure import Figure

    points = {name: [lines(run) for run in group] for name, group in material.runs.items()}
    without = _without(material.runs, points)
    if len(without) == sum(map(len, material.runs.values())):
        return nothing("no run has such numbers on record")
    missing = [f"no such numbers on record of {', '.join(without)}"] if without else []
    longest = [max(len(run[i]) for found in points.values() for run in found) for i in range(len(titles))]
    kept = [i for i in range(len(titles)) if longest[i] >= least]
    few = {i: f"{titles[i]} at {longest[i]} step" if longest[i] else f"no {titles[i]}" for i in range(len(titles))}
    missing += [f"{few[i]} on record" for i in few if i not in kept]
    if not kept:
        return nothing(*missing)
    width = NARROW if len(kept) == 1 else WIDE
    rows = _in_rows(list(points))
    figure = Figure(figsize=(width, len(rows) * (2.2 + legend_height(rows[0], width))))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    panels = []
    for part, names in zip(parts, rows, strict=True):
        row = part.subplots(1, len(kept), squeeze=False)[0]
        for panel, index in zip(row, kept, strict=True):
            for number, name in enumerate(names):
                line(panel, name, material.looks[name], [run[index] for run in points[name]], number / len(names))
            for level in _levels(reference, material.runs, index):
                panel.axhline(level, color="0.4", linewidth=0.8, linestyle=(0, (1, 1)), label="random")
            panel.set_title(titles[index] if part is parts[0] else "")
            panel.set_xlabel("step" if part is parts[-1] else "")
        legend(part, row, width)
        panels.append(row)
    for column in zip(*panels, strict=True):
        _same_axes(column, limits)
    words = _words(title, [titles[i] for i in kept], points, kept)
    if material.unfinished:
        words += f" Not drawn are runs of {', '.join(material.unfinished)}."
    return Drawing(figure, f"{title} ({material.task})", words, missing)


def mean_and_range(seeds: list[Points]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Steps that all seeds have, and there the mean, the smallest and the largest."""
    steps = sorted(set.intersection(*(set(points) for points in seeds))) if seeds else []
    values = [[points[step] for points in seeds] for step in steps]
    return steps, [sum(at) / len(at) for at in values], [min(at) for at in values], [max(at) for at in values]


def line(panel: Any, name: str, look: Look, seeds: list[Points], shift: float = 0.0) -> None:
    """Mean and range over seeds. `shift`, from 0 to 1, moves the markers along: lines do not hide each other's."""
    seeds = [points for points in seeds if points]
    steps, mean, low, high = mean_and_range(seeds)
    if not steps:
        return
    every = max(1, len(steps) // 6)
    marks = {"markevery": (int(shift * every), every)}
    panel.plot(steps, mean, label=f"{name} (n={len(seeds)})", **look.line, **marks)
    panel.fill_between(steps, low, high, color=look.colour, alpha=0.18, linewidth=0)


def mean_over_sites(run: Record, part: str, of: Callable[[dict[str, Any]], Iterable[float | None] | None]) -> Points:
    """Of each analysis that has `part`: the mean of what `of` finds at all sites."""
    points = {}
    for analysis in run.get("analyses") or []:
        values = [
            value for site in (analysis.get(part) or {}).values() for value in of(site) or [] if value is not None
        ]
        if values:
            points[analysis["step"]] = sum(values) / len(values)
    return points


def last(run: Record, part: str) -> dict[str, Any]:
    """What the last analysis that looked at `part` saw."""
    found = [analysis[part] for analysis in run.get("analyses") or [] if analysis.get(part)]
    return found[-1] if found else {}


def _without(runs: Runs, points: Mapping[str, list[list[Points]]]) -> list[str]:
    return [
        records.label(run["config"])
        for name, group in runs.items()
        for run, found in zip(group, points[name], strict=True)
        if not any(found)
    ]


def _in_rows(names: list[str]) -> list[list[str]]:
    """All in one row, or rows of about equal length that each begin with the baseline."""
    if len(names) <= MOST:
        return [names]
    others = names[1:]
    count = -(-len(others) // (MOST - 1))
    size = -(-len(others) // count)
    return [[names[0], *others[start : start + size]] for start in range(0, len(others), size)]


def _levels(reference: Callable[[Record], list[float | None]] | None, runs: Runs, index: int) -> list[float]:
    found = {reference(run)[index] for group in runs.values() for run in group} if reference else set()
    return sorted(level for level in found if level is not None)


def _same_axes(panels: Iterable[Any], limits: tuple[float, float] | None) -> None:
    """The same limits for all; the start of training, where all lines fall steeply, may lie above them."""
    drawn = [line.get_data() for panel in panels for line in panel.lines if not line.get_label().startswith("random")]
    steps = [step for x, _ in drawn for step in x]
    panels = list(panels)
    for panel in panels:
        if steps and max(steps) > 0:
            panel.set_xlim(0, max(steps) * 1.04)
        if limits:
            room = 0.03 * (limits[1] - limits[0])  # a marker on the limit is drawn whole
            panel.set_ylim(limits[0] - room, limits[1] + room)
    late = [y for x, values in drawn for step, y in zip(x, values, strict=True) if step >= max(steps) / 10]
    if not limits and late and max(late) > min(late):
        room = 0.05 * (max(late) - min(late))
        for panel in panels:
            panel.set_ylim(min(late) - room, max(late) + room)


def _words(title: str, titles: list[str], points: Mapping[str, list[list[Points]]], kept: list[int]) -> str:
    """The means at the last step."""
    sentences = [f"{title} over steps, mean over seeds with the range of the seeds as a band."]
    for panel, index in zip(titles, kept, strict=True):
        ends = []
        for name, found in points.items():
            steps, mean, _, _ = mean_and_range([run[index] for run in found if run[index]])
            if steps:
                ends.append(f"{name} {mean[-1]:.4g} at step {steps[-1]:g}")
        sentences.append(f"{panel}: {'; '.join(ends) or 'nothing on record'}.")
    return " ".join(sentences)
