"""Scores: every seed as a dot beside the mean and its interval, against what a setting costs, and over all studies."""

from typing import Any

from ablations import tables
from ablations.figures.intervals import possible
from ablations.report.parts import SETTING, Study, settings
from ablations.report.safe import significant
from ablations.tables.costs import Costs, costs

COSTS = {
    "parameters": "parameters",
    "projection_d2": "query, key and value maps (d²)",
    "flops_per_token": "FLOPs per token",
    "cache": "bytes in the cache per token, fp32",
    "source_cache": "bytes in the cache per source token, fp32",
    "decoding": "tokens per second, decoding, median over seeds (higher is better)",
}


def data(studies: list[Study]) -> list[dict[str, Any]]:
    """Per study and task: settings with their costs, and per score its cells, [setting, mean, low, high, seeds].

    And runs that came to none, [setting, "2 diverged"], and the range that the score can have at all.

    A study whose runs cannot stand in one table is left out: its own section says why.
    """
    found = []
    for study in studies:
        for task, runs in study.by_task.items() if study.table else ():
            first = tables.headline_columns(study.runs)
            columns = [column for column in tables.all_columns(study.runs) if column.task == task]
            if columns:
                columns.sort(key=lambda column: column not in first)
                by_name = {study.label(one.row, task): _numbers(one, task) for one in costs(study.table, task)}
                scores = [_score(column, study) for column in columns]
                found.append(settings(study, task) | {"costs": [by_name[name] for name in runs], "scores": scores})
    return found


def _score(column: tables.Column, study: Study) -> dict[str, Any]:
    names, cells, lost = list(study.by_task[column.task]), [], []
    for row in study.table:
        cell, name = row.cells.get(column), study.label(row, column.task)
        if cell is not None and cell.missing:
            lost.append([name, ", ".join(f"{count} {what}" for what, count in cell.missing.items())])
        if cell is not None and cell.summary is not None and name is not None:
            summary = cell.summary
            numbers = [significant(number) for number in (summary.mean, summary.low, summary.high)]
            seeds = {str(seed): significant(score) for seed, score in sorted(cell.scores.items())}
            cells.append([names.index(name), *numbers, seeds])
    title = f"{tables.SCORES[column.score][0]}, {column.split}"
    return {"title": title, "cells": cells, "lost": lost, "range": possible(column)}


def _numbers(one: Costs, task: str) -> dict[str, Any]:
    """Those of COSTS that are on record."""
    found = {name: getattr(one, name) for name in COSTS if name != "projection_d2"}
    found["projection_d2"] = one.row.projection_d2.get(task)
    return {name: significant(found[name], 8) for name in COSTS if found[name] is not None}


def seeds_spec() -> dict[str, Any]:
    """Over the dataset `cells` (setting, mean, low, high, n) and `seeds` (setting, seed, value)."""
    return {
        "width": "container",
        "height": 100,  # the page says: so many rows
        "encoding": {
            "y": {**SETTING, "title": None, "sort": None, "axis": {"labelLimit": 190}},
            "color": {**SETTING, "legend": None},
        },
        "layer": [
            {
                "data": {"name": "cells"},
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45, "clip": True},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative", "scale": {"zero": False}},
                    "x2": {"field": "high"},
                    "tooltip": _tips(),
                },
            },
            {
                "data": {"name": "cells"},
                "mark": {"type": "tick", "thickness": 3, "size": 20},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative", "scale": {"zero": False}},
                    "tooltip": _tips(),
                },
            },
            {
                "data": {"name": "seeds"},
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.9},
                "encoding": {
                    "x": {"field": "value", "type": "quantitative", "title": "score"},
                    "shape": {**SETTING, "legend": None},
                    "tooltip": [
                        {"field": "setting", "type": "nominal"},
                        {"field": "seed", "type": "quantitative"},
                        {"field": "value", "type": "quantitative", "format": ",.5~r", "title": "score"},
                    ],
                },
            },
        ],
    }


def costs_spec() -> dict[str, Any]:
    """Over the dataset `cells`: setting, cost, mean, low, high, n."""
    cost = {"field": "cost", "type": "quantitative", "scale": {"zero": False, "padding": 14}}
    return {
        "width": "container",
        "height": 320,
        "data": {"name": "cells"},
        "encoding": {"x": cost, "color": SETTING},
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "clip": True},
                "encoding": {
                    "y": {"field": "low", "type": "quantitative", "scale": {"zero": False}},
                    "y2": {"field": "high"},
                    "opacity": {"condition": {"param": "chosen", "value": 0.5}, "value": 0.1},
                },
            },
            {
                "params": [{"name": "chosen", "select": {"type": "point", "fields": ["setting"]}, "bind": "legend"}],
                "mark": {"type": "point", "filled": True, "size": 110},
                "encoding": {
                    "y": {"field": "mean", "type": "quantitative", "title": "score", "scale": {"zero": False}},
                    "shape": SETTING,
                    "opacity": {"condition": {"param": "chosen", "value": 1}, "value": 0.15},
                    "tooltip": [*_tips(), {"field": "cost", "type": "quantitative", "format": ",", "title": "cost"}],
                },
            },
        ],
    }


def _tips() -> list[dict[str, Any]]:
    number = {"type": "quantitative", "format": ",.5~r"}
    return [
        {"field": "setting", "type": "nominal"},
        {"field": "mean", **number},
        {"field": "low", **number, "title": "95 % from"},
        {"field": "high", **number, "title": "95 % to"},
        {"field": "n", "type": "quantitative", "title": "seeds"},
    ]
