"""What a dashboard is shown of a run besides its curve: who it is, and how it ended."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ablations import record as records
from ablations import tables

Record = dict[str, Any]
LONGEST_TAG = 64  # characters; W&B refuses more
COSTS = ("parameters", "projection_parameters", "projection_d2", "flops_per_token", "cache_numbers_per_token")
OBSERVED = ("scores", "projections", "heads", "gradients")  # analyses by site
# Parts of a config that say where a run happens, not what it is.
ELSEWHERE = ("paths", "tracking", "cluster", "rerun")


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    numbers: dict[str, float | str]  # "split/score", "cost/name", "status"
    samples: list[dict[str, str]]  # translations; the keys of each row are the columns
    observed: dict[int, dict[str, float]]  # step -> "site/measure", mean over heads
    maps: dict[str, Any]  # site -> PIL image of its heads' attention


def outcome(record: Record, draw: bool = True) -> Outcome:
    """Read off a record. Draws the attention maps where there are some, which takes matplotlib, unless told not to."""
    return Outcome(numbers(record), record.get("samples") or [], observed(record), maps(record) if draw else {})


def numbers(record: Record) -> dict[str, float | str]:
    """Every score of every split, the costs, and the status: whatever the tables of a study are made of."""
    scores = flat(record.get("scores") or {})
    scores = {name: value for name, value in scores.items() if name.rpartition("/")[2] in (*tables.SCORES, "nll")}
    budget = record.get("budget") or {}
    costs = {f"cost/{name}": budget[name] for name in COSTS if name in budget}
    return {**scores, **costs, "status": record["status"]}


def flat(scores: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Scores as "split/metric" to number."""
    return {
        f"{split}/{name}": value
        for split, named in scores.items()
        for name, value in named.items()
        if isinstance(value, int | float)
    }


def observed(record: Record) -> dict[int, dict[str, float]]:
    """What analyses measured at each attention site, such as {700: {"encoder.0.self/own_position": 0.7}}."""
    found = {}
    for analysis in record.get("analyses") or []:
        at = {
            f"{site}/{measure}": sum(values) / len(values)
            for part in OBSERVED
            for site, measured in analysis.get(part, {}).items()
            for measure, value in measured.items()
            if (values := list(_leaves(value)))
        }
        if at:
            found[analysis["step"]] = at
    return found


def _leaves(measured: Any) -> Iterator[float]:
    """The numbers of one measure, usually one a head; words and what has no value are left out."""
    if isinstance(measured, dict | list):
        for item in measured.values() if isinstance(measured, dict) else measured:
            yield from _leaves(item)
    elif isinstance(measured, int | float):
        yield measured


def maps(record: Record) -> dict[str, Any]:
    """The last attention maps on record as pictures, a head beside the other."""
    sites = [site for analysis in record.get("analyses") or [] for site in analysis.get("maps", {}).get("weights", {})]
    if not sites:
        return {}
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    from ablations import figures

    drawn = {}
    with figures.style():
        for site in dict.fromkeys(sites):
            figure, _ = figures.attention_maps({record["strategy"]: [record]}, site)
            FigureCanvasAgg(figure)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=80)
            drawn[site] = Image.open(picture)
    return drawn


def title(record: Record) -> str:
    """The name of a run for people, such as "multi30k_en_de-shared-s0"."""
    return records.label(record["config"])


def tags(record: Record) -> list[str]:
    """The strategy, and what stands at each site: "shared, cross=separate", "cross:separate"."""
    found = [record["strategy"], *(f"{site}:{name}" for site, name in record["sites"].items())]
    return list(dict.fromkeys(tag[:LONGEST_TAG] for tag in found))


def public(record: Record) -> dict[str, Any]:
    """The config with the strategy's name and the commit: what a run is, and nothing of the machine it runs on.

    Folders, files of a corpus, tracking and cluster are left out, and so is every text that is an absolute path, begins
    with a ~, or points out of its folder.
    """
    config = {key: value for key, value in record["config"].items() if key not in ELSEWHERE}
    task = dict(config["task"])
    task["corpus"] = {key: value for key, value in task["corpus"].items() if key != "files"}
    commit = (record.get("code") or {}).get("commit")
    return {"strategy": record["strategy"], "commit": commit, **_without_paths({**config, "task": task})}


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items() if not (_is_path(key) or _is_path(item))}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value if not _is_path(item)]
    return value


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"[/~\\]|\.\.?[/\\]|[A-Za-z]:[/\\]|file:", value) is not None
