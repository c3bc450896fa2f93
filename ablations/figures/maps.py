"""Attention maps after training, a figure for each site."""

from collections.abc import Iterator
from typing import Any

from ablations.figures.canvas import Drawing
from ablations.figures.material import Material, Runs
from ablations.figures.training import last


def draw(material: Material) -> Iterator[Drawing]:
    """Of the last analysis that looked at maps."""
    sites = [site for group in material.runs.values() for run in group for site in last(run, "maps").get("weights", {})]
    for site in dict.fromkeys(sites):
        figure, missing = attention_maps(material.runs, site)
        words = (
            f"Weights from 0 to 1 of the heads of {site} on one sequence, queries as rows and keys as columns, "
            f"the first seed of {', '.join(material.runs)}."
        )
        yield Drawing(figure, f"Attention maps of {site} ({material.task})", words, missing, site)


def attention_maps(runs: Runs, site: str) -> tuple[Any, list[str]]:
    """A row per setting (its first seed that has maps), a column per head, one colour scale from 0 to 1.

    The figure, or none, and a sentence where a setting has no maps of this site.
    """
    from matplotlib.figure import Figure

    shown = {
        name: next((maps for run in group if site in (maps := last(run, "maps")).get("weights", {})), None)
        for name, group in runs.items()
    }
    without = [name for name, maps in shown.items() if maps is None]
    missing = [f"no maps of this site on record of {', '.join(without)}"] if without else []
    rows = {name: maps for name, maps in shown.items() if maps is not None}
    if not rows:
        return None, missing
    heads = max(len(maps["weights"][site]) for maps in rows.values())
    figure = Figure(figsize=(1.75 * heads + 0.8, 1.9 * len(rows) + 0.3))
    grid = figure.subplots(len(rows), heads, squeeze=False)
    for panels, (name, maps) in zip(grid, rows.items(), strict=True):
        weights = maps["weights"][site]
        queries, keys = (_tokens(maps, stack) for stack in (site.split(".")[0], _key_stack(site)))
        for head, panel in enumerate(panels):
            if head >= len(weights):
                panel.set_axis_off()
                continue
            panel.imshow(weights[head], vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="nearest")
            panel.set_xticks(range(len(keys)), keys, rotation=90, fontsize=4.5)
            panel.set_yticks(range(len(queries)), queries if head == 0 else [""] * len(queries), fontsize=4.5)
            panel.tick_params(length=1.5, pad=1.5)
            panel.set_title(f"{name}, head {head}", fontsize=7)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="attention weight", fraction=0.02)
    figure.suptitle(f"{site}, after training")
    figure.supylabel("query", fontsize=8)
    figure.supxlabel("key", fontsize=8)
    return figure, missing


def _key_stack(site: str) -> str:
    return "encoder" if site.endswith(".cross") else site.split(".")[0]


def _tokens(maps: dict[str, Any], stack: str) -> list[str]:
    """Token strings, or ids where the record has none; spaces and line ends made visible."""
    tokens = (maps.get("tokens") or maps["ids"])[stack]
    visible = str.maketrans({" ": "\u00b7", "\n": "\\n", "\t": "\\t"})
    return [str(token).translate(visible) for token in tokens]
