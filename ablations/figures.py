"""Pictures of a study from its records alone: learning curves, attention maps, and what analyses saw over training.

Colours are those of Okabe & Ito (2008), told apart by the colour-blind; lines differ in dash and marker too, for print
in black and white. A line is the mean over seeds, its band reaches from the smallest to the largest.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations import tables
from ablations.files import whole_file

Record = dict[str, Any]
Runs = dict[str, list[Record]]  # setting -> its runs, the baseline's first
Points = dict[float, float]  # step -> value, of one run

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (7, 2)), (0, (3, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
PAIRS = {"qk": "query and key", "qv": "query and value", "kv": "key and value"}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "qkv",  # the names inside an SVG, random otherwise
    "svg.fonttype": "none",  # letters as text: a fifth of the size of letters as outlines
    "text.parse_math": False,  # a token may be a dollar sign
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


def write(results: str | Path, study: str) -> tuple[list[Path], list[str]]:
    """Draws every figure the records of a study allow: the files written, and a sentence for each thing left out.

    `<results>/figures/<study>/<task>-<figure>.png` and `.svg`. The same records give the same bytes.
    """
    written, left_out = [], []
    by_task: dict[str, list[Record]] = defaultdict(list)
    for run in records.load_all(results, study):
        if run["status"] == "finished":
            by_task[run["task"]].append(run)
        else:
            left_out.append(f"{records.label(run['config'])} is left out: it {run['status']}")
    for task, found in sorted(by_task.items()):
        runs = by_setting(found)
        with style():
            for name, figure, missing in figures(runs):
                left_out.extend(f"{task}, {name}: {sentence}" for sentence in missing)
                if figure is not None:
                    written += save(figure, Path(results) / "figures" / study / f"{task}-{name}")
    return written, left_out


def by_setting(runs: list[Record]) -> Runs:
    """The runs of one task by setting, `study.baseline` first, by seed."""
    named = tables.settings(runs)
    baseline = runs[0]["config"]["study"].get("baseline") or "separate"
    found: Runs = defaultdict(list)
    order = sorted(set(named.values()), key=lambda setting: (setting.strategy != baseline, setting))
    for setting in order:
        mine = [run for run in runs if named[run["signature"]] == setting]
        found[str(setting)] = sorted(mine, key=lambda run: run["seed"])
    return found


def figures(runs: Runs) -> Iterator[tuple[str, Any, list[str]]]:
    """(name, figure or none, what is missing) of each figure there can be."""
    yield "curves", *curves(runs)
    yield "own-position", *over_training(runs, ["own-position weight"], own_position, (0, 1))
    yield "role-gradients", *over_training(runs, [f"cosine, {pair}" for pair in PAIRS.values()], cosines, (-1, 1))
    yield (
        "angles",
        *over_training(runs, [f"degrees, {pair}" for pair in PAIRS.values()], angles, (0, 90), random_angles),
    )
    yield "contexts", *contexts(runs)
    sites = [site for group in runs.values() for run in group for site in _last(run, "maps").get("weights", {})]
    for site in dict.fromkeys(sites):
        yield f"maps-{site}", *attention_maps(runs, site)


def curves(runs: Runs) -> tuple[Any, list[str]]:
    """Training loss and validation nats over steps, all settings in the same axes."""

    def lines(run: Record) -> list[Points]:
        return [{p["step"]: p[key] for p in run["curve"] if p.get(key) is not None} for key in ("loss", "valid_nll")]

    return over_training(runs, ["training loss (nats)", "validation loss (nats)"], lines)


def over_training(
    runs: Runs,
    titles: list[str],
    lines: Callable[[Record], list[Points]],
    limits: tuple[float, float] | None = None,
    reference: Callable[[Record], list[float | None]] | None = None,
) -> tuple[Any, list[str]]:
    """One panel per title, the same axes for all settings; `lines` gives a run's points panel by panel.

    `reference`: a level per panel, drawn thin. Runs without any point are named in the sentence.
    """
    from matplotlib.figure import Figure

    points = {name: [lines(run) for run in group] for name, group in runs.items()}
    without = [
        records.label(run["config"])
        for name, group in runs.items()
        for run, found in zip(group, points[name], strict=True)
        if not any(found)
    ]
    if len(without) == sum(map(len, runs.values())):
        return None, ["no run has such numbers on record"]
    missing = [f"no such numbers on record of {', '.join(without)}"] if without else []
    figure = Figure(figsize=(4.2 * len(titles) + 1.6, 3.2))
    panels = figure.subplots(1, len(titles), squeeze=False, sharey=limits is not None)[0]
    for index, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        for number, (name, found) in enumerate(points.items()):
            _line(panel, name, number, [run[index] for run in found])
        levels = {
            run_levels[index] for group in runs.values() for run in group if (run_levels := _levels(reference, run))
        }
        for level in sorted(level for level in levels if level is not None):
            panel.axhline(level, color="0.5", linewidth=0.8, linestyle=(0, (1, 1)), label="random")
        panel.set(xlabel="step", title=title, **({"ylim": limits} if limits else {}))
        panel.set_xlim(left=0)
    by_name = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(by_name.values(), by_name.keys(), loc="outside right upper", frameon=False)
    return figure, missing


def _levels(reference: Callable[[Record], list[float | None]] | None, run: Record) -> list[float | None]:
    return reference(run) if reference else []


def _line(panel: Any, name: str, number: int, seeds: list[Points]) -> None:
    """Mean and range over seeds at the steps that all of them have."""
    seeds = [points for points in seeds if points]
    steps = sorted(set.intersection(*(set(points) for points in seeds))) if seeds else []
    if not steps:
        return
    values = [[points[step] for points in seeds] for step in steps]
    colour = COLOURS[number % len(COLOURS)]
    panel.plot(
        steps,
        [sum(at) / len(at) for at in values],
        label=f"{name} (n={len(seeds)})",
        color=colour,
        linestyle=DASHES[number % len(DASHES)],
        marker=MARKERS[number % len(MARKERS)],
        markevery=max(1, len(steps) // 8),
        markersize=4,
        linewidth=1.4,
    )
    panel.fill_between(
        steps, [min(at) for at in values], [max(at) for at in values], color=colour, alpha=0.18, linewidth=0
    )


def own_position(run: Record) -> list[Points]:
    """Mean weight on the own position over all heads of all self-attention sites."""
    return [_mean_over_sites(run, "scores", lambda site: site.get("own_position"))]


def cosines(run: Record) -> list[Points]:
    """Cosine of each two roles' gradients of their shared matrix, mean over sites."""
    return [_mean_over_sites(run, "gradients", lambda site, pair=pair: [site["cosine"].get(pair)]) for pair in PAIRS]


def angles(run: Record) -> list[Points]:
    """Mean principal angle of each two roles, mean over the heads of all sites."""
    return [_mean_over_sites(run, "projections", lambda site, pair=pair: site["angle"][pair]) for pair in PAIRS]


def random_angles(run: Record) -> list[float | None]:
    """The same of random subspaces as large."""
    found = [
        _mean_over_sites(run, "projections", lambda site, pair=pair: [site["random_angle"][pair]]) for pair in PAIRS
    ]
    return [points[max(points)] if points else None for points in found]


def _mean_over_sites(run: Record, part: str, of: Callable[[dict[str, Any]], Iterable[float | None] | None]) -> Points:
    points = {}
    for analysis in run.get("analyses") or []:
        values = [
            value for site in (analysis.get(part) or {}).values() for value in of(site) or [] if value is not None
        ]
        if values:
            points[analysis["step"]] = sum(values) / len(values)
    return points


def contexts(runs: Runs) -> tuple[Any, list[str]]:
    """How alike one word's vectors are across its contexts, layer by layer, and how alike any two words are.

    After the last step on record; layer 0 is the embedding. A row of panels per stack, the same axes for all.
    """
    from matplotlib.figure import Figure

    layers = {name: [_last(run, "context").get("layers", {}) for run in group] for name, group in runs.items()}
    stacks = list(dict.fromkeys(stack for group in layers.values() for run in group for stack in run))
    if not stacks:
        return None, ["no run has such numbers on record"]
    measures = {"self_similarity": "one word in two contexts", "random": "any two words"}
    figure = Figure(figsize=(10, 3.2 * len(stacks)))
    grid = figure.subplots(len(stacks), len(measures), squeeze=False, sharey=True)
    for panels, stack in zip(grid, stacks, strict=True):
        for panel, (measure, title) in zip(panels, measures.items(), strict=True):
            for number, (name, group) in enumerate(layers.items()):
                seeds = [run[stack][measure] for run in group if stack in run]
                _line(panel, name, number, [{i: y for i, y in enumerate(seed) if y is not None} for seed in seeds])
            panel.set(xlabel="layer", ylabel="mean cosine", ylim=(-0.2, 1), title=f"{stack}: {title}")
            panel.set_xticks(
                range(len(next(run[stack][measure] for g in layers.values() for run in g if stack in run)))
            )
    by_name = {text: line for line, text in zip(*grid[0, 0].get_legend_handles_labels(), strict=True)}
    figure.legend(by_name.values(), by_name.keys(), loc="outside right upper", frameon=False)
    return figure, []


def attention_maps(runs: Runs, site: str) -> tuple[Any, list[str]]:
    """A row per setting (its first seed that has maps), a column per head, one colour scale from 0 to 1."""
    from matplotlib.figure import Figure

    shown = {
        name: next((maps for run in group if site in (maps := _last(run, "maps")).get("weights", {})), None)
        for name, group in runs.items()
    }
    without = [name for name, maps in shown.items() if maps is None]
    missing = [f"no maps of this site on record of {', '.join(without)}"] if without else []
    rows = {name: maps for name, maps in shown.items() if maps is not None}
    if not rows:
        return None, missing
    heads = max(len(maps["weights"][site]) for maps in rows.values())
    figure = Figure(figsize=(2.4 * heads + 1.2, 2.5 * len(rows)))
    grid = figure.subplots(len(rows), heads, squeeze=False)
    for panels, (name, maps) in zip(grid, rows.items(), strict=True):
        weights = maps["weights"][site]
        queries, keys = (_tokens(maps, stack) for stack in (site.split(".")[0], _key_stack(site)))
        for head, panel in enumerate(panels):
            if head >= len(weights):
                panel.set_axis_off()
                continue
            panel.imshow(weights[head], vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="nearest")
            panel.set_xticks(range(len(keys)), keys, rotation=90, fontsize=5)
            panel.set_yticks(range(len(queries)), queries, fontsize=5)
            panel.set_title(f"{name}, head {head}", fontsize=8)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="attention weight", fraction=0.02)
    figure.suptitle(f"{site}, after training")
    figure.supylabel("query")
    figure.supxlabel("key")
    return figure, missing


def _key_stack(site: str) -> str:
    return "encoder" if site.endswith(".cross") else site.split(".")[0]


def _tokens(maps: dict[str, Any], stack: str) -> list[str]:
    """Token strings, or ids where the record has none; spaces and line ends made visible."""
    tokens = (maps.get("tokens") or maps["ids"])[stack]
    visible = str.maketrans({" ": "\u00b7", "\n": "\\n", "\t": "\\t"})
    return [str(token).translate(visible) for token in tokens]


def _last(run: Record, part: str) -> dict[str, Any]:
    """What the last analysis that looked at `part` saw."""
    found = [analysis[part] for analysis in run.get("analyses") or [] if analysis.get(part)]
    return found[-1] if found else {}


@contextmanager
def style() -> Iterator[None]:
    """Our settings in force, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def save(figure: Any, stem: Path) -> list[Path]:
    """Writes stem.png and stem.svg whole, without dates or versions, so that nothing changes with the clock."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    written = []
    for kind, metadata in {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, dpi=110, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{kind}")
        with whole_file(path, "wb") as file:
            file.write(drawn.getvalue())
        written.append(path)
    return written
