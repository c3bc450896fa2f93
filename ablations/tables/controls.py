"""Controls: another strategy against the baseline at equal cost, recognised by the costs themselves.

A strategy with fewer matrices is a smaller model. Where a study also has it at other sizes, those are its controls: as
many parameters, as many FLOPs per token or as large a cache as the baseline's model, all but sizes being equal.

Where several settings are within CLOSE, as in a model that is mostly vocabulary even a plain one may be, the one that
was made for it (its records' `match`) stands for the control, then the one that comes nearest.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from ablations import stats
from ablations.tables.columns import Column
from ablations.tables.rows import Row, compared
from ablations.tables.settings import flatten, general, identity_of, text_of
from models.budget import CLOSE

# Fields that say how large a part is, of a model or of a site.
SIZES = ("d_model", "d_ff", "heads", "head_dim", "encoder_layers", "decoder_layers")
SIZES += ("kv_heads", "value_head_dim", "score_width", "rank", "role_rank")
# Of a model as a whole. A wider or deeper one may remember as much by accident, and is no control of the cache.
WHOLE = ("d_model", "d_ff", "encoder_layers", "decoder_layers")
# Control -> the costs that it makes equal, and what `match` calls it.
CONTROLS = {
    "parameters": (("parameters",), "params"),
    "FLOPs": (("flops_per_token",), "flops"),
    "cache": (("cache_numbers_per_token", "cache_numbers_per_source_token"), "cache"),
}
AS_IS = "as is"


@dataclass(frozen=True)
class Match:
    """A setting that stands as a control."""

    row: Row
    ratio: float  # of the matched cost to the baseline's; of parameters, as it is
    comparison: stats.Comparison | None


@dataclass(frozen=True)
class Controls:
    """One strategy against one setting of the baseline, in one column of the headline."""

    column: Column
    base: Row
    strategy: str
    matches: dict[str, Match]  # AS_IS or a control -> what stands for it


def controls(table: list[Row], columns: list[Column]) -> list[Controls]:
    """For each setting of the baseline that some other strategy has a control for."""
    found = []
    for column in columns:
        groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in table:
            if column in row.cells and row.budget(column.task):
                groups[_without_sizes(row)].append(row)
        for group in groups.values():
            for base in (row for row in group if row.baseline):
                mine = _against(base, [row for row in group if not row.baseline], column)
                # That it costs the same anyhow is no control.
                if any(match.row is not one.matches.get(AS_IS, match).row for one in mine for match in _set(one)):
                    found += mine
                elif any(AS_IS not in one.matches and one.matches for one in mine):
                    found += mine
    return found


def _set(one: Controls) -> list[Match]:
    return [match for name, match in one.matches.items() if name != AS_IS]


def _against(base: Row, others: list[Row], column: Column) -> list[Controls]:
    by_strategy: dict[str, list[Row]] = defaultdict(list)
    for row in others:
        by_strategy[row.setting.strategy].append(row)
    own, sizes, result = base.budget(column.task), _sizes(base, column), []
    for strategy, candidates in by_strategy.items():
        changed = {id(row): _changed(sizes, _sizes(row, column)) for row in candidates}
        fair = [row for row in candidates if not any(general(field) for field in changed[id(row)])]
        plain = min(fair, key=lambda row: (len(changed[id(row)]), _label(row) != "none", row.setting), default=None)
        matches = {}
        if plain is not None:
            ratio = plain.budget(column.task)["parameters"] / own["parameters"]
            matches[AS_IS] = Match(plain, ratio, compared(plain, base, column))
        for control, (costs, label) in CONTROLS.items():
            close = [row for row in candidates if _equal(row.budget(column.task), own, costs)]
            if control == "cache":
                close = [row for row in close if not any(field.split(".")[-1] in WHOLE for field in changed[id(row)])]
            found = [
                (_label(row) != label, _off(row.budget(column.task), own, costs), len(changed[id(row)]), row)
                for row in close
            ]
            best = min(found, key=lambda one: (*one[:3], one[3].setting), default=(None,))[-1]
            if best is not None:
                ratio = best.budget(column.task)[costs[0]] / own[costs[0]]
                matches[control] = Match(best, ratio, compared(best, base, column))
        result.append(Controls(column, base, strategy, matches))
    return result


def _equal(budget: dict[str, Any], own: dict[str, Any], costs: tuple[str, ...]) -> bool:
    return bool(own.get(costs[0])) and _off(budget, own, costs) <= CLOSE


def _off(budget: dict[str, Any], own: dict[str, Any], costs: tuple[str, ...]) -> float:
    """The largest share by which a cost differs, of those that the baseline has; one not on record is far off."""
    shares = (
        abs(budget[cost] / own[cost] - 1) if budget.get(cost) is not None else math.inf
        for cost in costs
        if own.get(cost)
    )
    return max(shares)


def _without_sizes(row: Row) -> tuple[str, ...]:
    return tuple(field for field in row.setting.rest if field.split("=")[0].split(".")[-1] not in SIZES)


def _sizes(row: Row, column: Column) -> dict[str, str]:
    identity = identity_of(next(run for run in row.runs if run["task"] == column.task))
    fields = [*flatten(identity["model"], "model."), *flatten(identity["sites"])]
    return {name: text_of(value) for name, value in fields if name.split(".")[-1] in SIZES}


def _changed(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [field for field in {**one, **other} if one.get(field) != other.get(field)]


def _label(row: Row) -> str:
    return row.runs[0]["config"].get("match") or "none"
