"""The answer so far: the joined headline table, and what every setting costs against its baseline, study by study."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import tables, writers
from ablations.files import CONF
from ablations.report.findings import findings, lost_runs
from ablations.report.parts import Record, Study
from ablations.report.safe import significant
from ablations.tables.planned import missing

HEADLINE = ("headline", "headline_wikitext2")  # what `make tables` joins
SCORE = {"field": "score", "type": "nominal", "title": "score", "legend": {"symbolOpacity": 1}}


@dataclass(frozen=True)
class Answer:
    """Tables with what they are of and the command that makes each."""

    grids: list[tuple[str, writers.Grid, str]]
    sentences: list[str]
    partial: list[str]  # what is missing of the studies in these tables
    refusals: list[str]
    shifts: list[dict[str, Any]]
    lost: list[dict[str, Any]]  # settings without a shift, as runs came to no score


def answer(studies: list[Study], conf: Path = CONF) -> Answer:
    """The headline studies in one table where both are there, else one headline table for each of them there is.

    Where neither is, the headline table of every study stands in its own section only.
    """
    chosen = [study for study in studies if study.name in HEADLINE and study.runs]
    grids, sentences, refusals = [], [], []
    for group in [chosen] if len(chosen) == len(HEADLINE) else [[study] for study in chosen]:
        runs = [run for study in group for run in study.runs]
        words = " ".join(f"--study {study.name}" for study in group)
        command = f"python scripts/tables.py {words}{' --join notes' if len(group) > 1 else ''} --print"
        try:
            baseline = tables.baseline_of(runs)
            rows = tables.rows(runs, baseline)
        except ValueError as error:  # the runs cannot stand in one table
            refusals.append(str(error))
            continue
        names = " and ".join(study.name for study in group)
        grids.append((names, writers.headline_grid(rows, runs, baseline), command))
        sentences += in_words(rows, runs)
    lacking = [(study.name, missing(study.name, study.runs, study.table, conf)) for study in chosen if study.table]
    partial = [f"{name}: {sentence}" for name, sentence in lacking if sentence]
    found = merge(shift for study in studies for shift in shifts(study))
    return Answer(grids, sentences, partial, refusals, found, [one for study in studies for one in lost(study)])


def in_words(rows: list[tables.Row], runs: list[Record]) -> list[str]:
    """Each headline difference as a sentence, with its interval and, where it was tested, its verdict."""
    return [finding.sentence for finding in findings(rows, runs) if finding.difference]


def merge(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same runs may answer several studies: one row for all of them, which then names them.

    Only where these came to the same verdict by the same margin, too: Holm's adjustment hangs on the whole study.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for shift in found:
        key = tuple(shift[name] for name in ("task", "score", "runs", "margin", "verdict"))
        shown = {name: value for name, value in shift.items() if name not in ("study", "runs")}
        rows.setdefault(key, {**shown, "studies": []})["studies"].append(shift["study"])
    return list(rows.values())


def shifts(study: Study) -> list[dict[str, Any]]:
    """Each headline difference to the baseline, larger is better, with interval and margin.

    On the scale of the tests: in percent of a perplexity, in points of another score. `runs`: the signatures of the
    setting's runs, and those of the baseline's.
    """
    columns = tables.headline_columns(study.runs) if study.table else []
    by_setting = {row.setting: row for row in study.table}
    found = []
    for column in columns:
        for row in study.table:
            cell, other = row.cells.get(column), by_setting.get(row.against) if row.against else None
            if cell is not None and cell.evidence is not None and other:
                shift = _shift(study, column, row, cell.evidence)
                found.append(shift | {"runs": (_signatures(row, column.task), _signatures(other, column.task))})
    return found


def lost(study: Study) -> list[dict[str, Any]]:
    """Settings that have no pair with the baseline, as runs of theirs or of the baseline's came to no score."""
    columns = tables.headline_columns(study.runs) if study.table else []
    by_setting = {row.setting: row for row in study.table}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for column in columns:
        for row in study.table:
            cell, base = row.cells.get(column), by_setting.get(row.against) if row.against else None
            if cell is None or cell.evidence is not None or base is None:
                continue
            if missing := lost_runs(cell, base.cells.get(column)):
                name = study.label(row, column.task) or str(row.setting)
                one = {"study": study.name, "strategy": row.setting.strategy}
                says = f"{study.name}, {column.task}: {name} ({missing})"
                found.setdefault((column.task, name), one | {"says": says})
    return list(found.values())


def _signatures(row: tables.Row, task: str) -> tuple[str, ...]:
    return tuple(sorted(run["signature"] for run in row.runs if run["task"] == task))


def _shift(study: Study, column: tables.Column, row: tables.Row, evidence: tables.Evidence) -> dict[str, Any]:
    difference = evidence.difference
    ends = sorted(_better(column, end) for end in (difference.low, difference.high) if end is not None)
    low, high = ends or (None, None)
    margin = None if evidence.margin is None else abs(_better(column, evidence.margin))
    numbers = {"mean": _better(column, difference.mean), "low": low, "high": high, "margin": margin}
    title = tables.SCORES[column.score][0]
    return {
        "study": study.name,
        "task": column.task,
        "strategy": row.setting.strategy,
        "setting": study.label(row, column.task) or str(row.setting),
        "score": title,
        "unit": "%" if column.ratio else title,
        "n": difference.n,
        "verdict": evidence.verdict,
        **{name: significant(number) for name, number in numbers.items()},
    }


def _better(column: tables.Column, size: float) -> float:
    """A difference of the tests' scale as it is drawn, more than 0 being better: in percent of a perplexity."""
    drawn = 100 * math.expm1(min(size, 700.0)) if column.ratio else size  # nats; more would be no number
    return drawn if column.higher else -drawn


def spec() -> dict[str, Any]:
    """Over the dataset `shifts`, one row each; `row` names it."""
    place = {"field": "row", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 230}}
    tips = [
        {"field": "study", "type": "nominal"},
        {"field": "task", "type": "nominal"},
        {"field": "setting", "type": "nominal"},
        {"field": "score", "type": "nominal"},
        {"field": "mean", "type": "quantitative", "format": "+.2f", "title": "difference, + is better"},
        {"field": "low", "type": "quantitative", "format": "+.2f", "title": "95 % from"},
        {"field": "high", "type": "quantitative", "format": "+.2f", "title": "95 % to"},
        {"field": "margin", "type": "quantitative", "format": ".2f", "title": "margin"},
        {"field": "unit", "type": "nominal", "title": "all in"},
        {"field": "verdict", "type": "nominal"},
        {"field": "n", "type": "quantitative", "title": "pairs"},
    ]
    title = "difference (right is better)"  # the page says: in what
    return {
        "width": "container",
        "height": 100,  # the page says: so many rows
        "data": {"name": "shifts"},
        "encoding": {"y": place, "color": SCORE},
        "layer": [
            {
                "transform": [
                    {"filter": "isValid(datum.margin)"},
                    {"calculate": "-datum.margin", "as": "lower"},
                ],
                "mark": {"type": "bar", "opacity": 0.3, "height": 14, "color": "#888888", "tooltip": None},
                "encoding": {
                    "x": {"field": "lower", "type": "quantitative"},
                    "x2": {"field": "margin"},
                    "color": {"value": "#888888"},
                },
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1},
                "encoding": {"x": {"datum": 0}, "y": None, "color": {"value": "#888888"}},
            },
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2.5, "clip": True},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative"},
                    "x2": {"field": "high"},
                    "tooltip": tips,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "clip": True},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative", "title": title},
                    "shape": SCORE,
                    "tooltip": tips,
                },
            },
        ],
    }
