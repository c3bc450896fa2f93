"""Attention maps after training, for strategies side by side on one colour scale."""

from typing import Any

from ablations.report.parts import Record, Study, settings

BLANKS = str.maketrans({" ": "\u00b7", "\n": "\\n", "\t": "\\t"})  # tokens that would not be seen
SCALE = 1000  # a weight is stored as a whole number of thousandths, as records round it


def data(studies: list[Study]) -> list[dict[str, Any]]:
    """Per study and task with maps: settings, and per run its setting's number, seed, step, tokens and weights.

    `sites`: site -> per head the weights of all queries, one after the other, in thousandths.
    """
    found = []
    for study in studies:
        for task, runs in study.by_task.items():
            maps = [_run(number, run) for number, group in enumerate(runs.values()) for run in group]
            if any(maps):
                found.append(settings(study, task) | {"runs": [run for run in maps if run]})
    return found


def _run(setting: int, run: Record) -> dict[str, Any] | None:
    last = next((analysis for analysis in reversed(run.get("analyses") or []) if analysis.get("maps")), None)
    if last is None:
        return None
    maps = last["maps"]
    stacks = maps.get("tokens") or maps["ids"]
    return {
        "setting": setting,
        "seed": run["seed"],
        "step": last["step"],
        "tokens": {stack: [str(token).translate(BLANKS) for token in tokens] for stack, tokens in stacks.items()},
        "sites": {
            site: [[round(SCALE * (weight or 0)) for row in head for weight in row] for head in heads]
            for site, heads in maps["weights"].items()
        },
    }


def spec() -> dict[str, Any]:
    """Of one map over the dataset `weights`: rows of query, key (numbers), their tokens and the weight."""

    def axis(field: str, angle: int) -> dict[str, Any]:
        return {
            "field": field,
            "type": "ordinal",
            "title": field,
            "axis": {
                "labelAngle": angle,
                "labelFontSize": 9,
                "labelExpr": f"{field}_tokens[datum.value]",
                "labelLimit": 70,
            },
        }

    return {
        "width": {"step": 12},
        "height": {"step": 12},  # or what the page has room for
        "params": [{"name": "query_tokens", "value": []}, {"name": "key_tokens", "value": []}],
        "data": {"name": "weights"},
        "mark": {"type": "rect", "invalid": None},
        "encoding": {
            "x": axis("key", -90),
            "y": axis("query", 0),
            "color": {
                "field": "weight",
                "type": "quantitative",
                "scale": {"domain": [0, 1], "scheme": "cividis"},
                "legend": None,
            },
            "tooltip": [
                {"field": "from", "type": "nominal", "title": "query"},
                {"field": "to", "type": "nominal", "title": "key"},
                {"field": "weight", "type": "quantitative", "format": ".3f"},
            ],
        },
    }
