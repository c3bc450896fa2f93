"""Learning curves: the mean over seeds as a line, the range as a band, each seed as a thin line."""

from collections import Counter
from typing import Any

from ablations.report.parts import SETTING, Record, Study, settings
from ablations.report.safe import significant

LOSSES = {"loss": "training loss (nats)", "valid_nll": "validation loss (nats)"}
POINTS = 200  # of a curve; a screen shows no more
SUMMARY = {"mean": "mean", "min": "low", "max": "high", "count": "n"}


def data(studies: list[Study]) -> list[dict[str, Any]]:
    """Per study and task: settings, and per run its setting's number, its seed and its losses.

    A loss is [[step, ...], [value, ...]], where the steps are the number of a list in `steps`, which runs share.
    """
    return [
        settings(study, task) | _task(runs) | {"lost": unfinished(runs)}
        for study in studies
        for task, runs in study.by_task.items()
        if any(run.get("curve") for group in runs.values() for run in group)
    ]


def _task(runs: dict[str, list[Record]]) -> dict[str, Any]:
    everywhere = [run for group in runs.values() for run in group]
    kept = {name: thin({p["step"] for run in everywhere for p in _points(run, name)}) for name in LOSSES}
    steps: dict[tuple[int, ...], int] = {}
    lines = []
    for number, group in enumerate(runs.values()):
        for run in group:
            line: dict[str, Any] = {"setting": number, "seed": run["seed"]}
            for name in LOSSES:
                points = [point for point in _points(run, name) if point["step"] in kept[name]]
                if points:
                    at = steps.setdefault(tuple(point["step"] for point in points), len(steps))
                    line[name] = [at, [significant(point[name]) for point in points]]
            lines.append(line)
    return {"steps": [list(found) for found in steps], "lines": lines}


def unfinished(runs: dict[str, list[Record]]) -> list[list[str]]:
    """Settings with runs that did not finish, and how many: ["shared", "2 diverged"]."""
    found = []
    for name, group in runs.items():
        counts = Counter(run["status"] for run in group if run["status"] != "finished")
        if counts:
            found.append([name, ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))])
    return found


def _points(run: Record, name: str) -> list[dict[str, Any]]:
    return [point for point in run.get("curve") or [] if point.get(name) is not None]


def thin(steps: set[int], most: int = POINTS) -> set[int]:
    """At most so many of the steps, evenly, with the first and the last."""
    ordered = sorted(steps)
    if len(ordered) <= most:
        return steps
    return {ordered[round(index * (len(ordered) - 1) / (most - 1))] for index in range(most)}


def spec() -> dict[str, Any]:
    """Of a chart over the dataset `points`: rows of setting, seed, step and value.

    A click on the legend highlights a setting, another one with shift adds to it, one elsewhere ends it. The page puts
    in the settings' marks.
    """
    faded = {"condition": {"param": "chosen", "value": 1}, "value": 0.12}
    step = {"field": "step", "type": "quantitative", "title": "step"}

    def value(field: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": "loss (nats)", "scale": {"zero": False}}

    # Under the mouse lies a cell of a Voronoi diagram, whose datum has the point's datum.
    numbers = {"mean": "mean", "smallest": "low", "largest": "high"}
    tips = ["'setting': (datum.datum || datum).setting", "'step': format((datum.datum || datum).step, ',')"]
    tips += [f"'{title}': format((datum.datum || datum).{name}, '.4f')" for title, name in numbers.items()]
    tips += ["'seeds': (datum.datum || datum).n"]
    return {
        "width": "container",
        "height": 340,
        "data": {"name": "points"},
        "encoding": {"x": step, "color": SETTING},
        "layer": [
            {
                "transform": _over_seeds(),
                "mark": {"type": "area", "tooltip": None},
                "encoding": {
                    "y": value("low"),
                    "y2": {"field": "high"},
                    "opacity": {"condition": {"param": "chosen", "value": 0.2}, "value": 0.03},
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 0.7, "tooltip": None},
                "encoding": {"y": value("value"), "detail": {"field": "seed"}, "opacity": _times(faded, 0.55)},
            },
            {
                "params": [{"name": "chosen", "select": {"type": "point", "fields": ["setting"]}, "bind": "legend"}],
                "transform": _over_seeds(),
                "mark": {"type": "line", "strokeWidth": 2, "tooltip": None},
                "encoding": {"y": value("mean"), "strokeDash": SETTING, "opacity": faded},
            },
            {
                "transform": [*_over_seeds(), *_sparse()],
                "mark": {"type": "point", "filled": True, "size": 46, "tooltip": None},
                "encoding": {"y": value("mean"), "shape": SETTING, "opacity": faded},
            },
            {
                "params": [
                    {
                        "name": "near",
                        "select": {"type": "point", "nearest": True, "on": "pointermove", "clear": "pointerout"},
                    }
                ],
                "transform": _over_seeds(),
                "mark": {"type": "point", "filled": True, "size": 60, "tooltip": {"expr": f"{{{', '.join(tips)}}}"}},
                "encoding": {
                    "y": value("mean"),
                    "opacity": {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0},
                },
            },
        ],
    }


def _over_seeds() -> list[dict[str, Any]]:
    """Mean and range at the steps that all seeds of a setting have."""
    aggregate = [{"op": op, "field": "value", "as": name} for op, name in SUMMARY.items()]
    return [
        {"joinaggregate": [{"op": "distinct", "field": "seed", "as": "seeds"}], "groupby": ["setting"]},
        {"aggregate": aggregate, "groupby": ["setting", "seeds", "step"]},
        {"filter": "datum.n == datum.seeds"},
    ]


def _sparse() -> list[dict[str, Any]]:
    """Of each setting about eight points, for markers."""
    rows = [{"op": "row_number", "as": "row"}, {"op": "count", "as": "rows"}]
    return [
        {"window": rows, "sort": [{"field": "step"}], "groupby": ["setting"], "frame": [None, None]},
        {"filter": "datum.row % ceil(datum.rows / 8) == 0 || datum.rows < 8"},
    ]


def _times(faded: dict[str, Any], factor: float) -> dict[str, Any]:
    return {
        "condition": {**faded["condition"], "value": faded["condition"]["value"] * factor},
        "value": faded["value"] * factor,
    }
