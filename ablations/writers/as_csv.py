"""Rows as plain numbers."""

import csv
import io
import math
from typing import Any

from ablations import stats
from ablations.tables import Cell, Row
from ablations.tables.columns import nll_of
from ablations.tables.costs import costs
from ablations.tables.evidence import Evidence
from ablations.tables.speed import reached

FIELDS = ["setting", "task", "split", "score", "mean", "sd", "n", "low", "high", "missing", "seeds"]
FIELDS += ["difference", "difference_low", "difference_high", "pairs", "p", "p_floor", "p_holm"]
FIELDS += ["projection_d2", "parameters", "cache_numbers_per_token"]
# From here on: scores in the order of the seeds, from which all other tables come again; the tests, on their own scale
# (of a perplexity the logarithm); and what a setting is and costs on a task.
FIELDS += ["scores", "nll", "against", "correlation", "tested_difference", "tested_sd", "margin", "low90", "high90"]
FIELDS += ["p_t", "p_equivalent", "p_not_worse", "p_t_holm", "p_equivalent_holm", "p_not_worse_holm", "verdict"]
FIELDS += ["detectable", "seeds_to_detect", "seeds_for_equivalence"]
FIELDS += ["sites", "match", "flops_per_token", "cache_numbers_per_source_token", "tokens_per_second"]
FIELDS += ["decoding_tokens_per_second", "cache_bytes_per_token", "cache_bytes_per_source_token"]
FIELDS += ["baseline_loss_step", "baseline_loss_not_reached"]


def csv_text(table: list[Row], command: str) -> str:
    """One line per setting and score, unrounded; the first line is a comment that names the command."""
    file = io.StringIO()
    file.write(f"# Made by `{command}` from records alone; do not edit.\n")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    facts = _facts(table)
    for row in table:
        losses = {}
        for column, cell in row.cells.items():
            where = column.task, column.split
            if where not in losses:
                losses[where] = _loss(row, *where)
            line = [_escape(text) for text in (str(row.setting), column.task, column.split)]
            line += [column.score, *_scores(cell)]
            line += [costs.get(column.task) for costs in (row.projection_d2, row.parameters, row.cache_numbers)]
            line += [" ".join(repr(cell.scores[seed]) for seed in sorted(cell.scores)), losses[where]]
            writer.writerow([*line, *_tests(row, cell), *facts[id(row), column.task]])
    return file.getvalue()


def _scores(cell: Cell) -> list[Any]:
    missing = " ".join(f"{count} {status}" for status, count in cell.missing.items())
    summary, comparison = cell.summary, cell.comparison
    line = [*_numbers(summary, "mean", "sd"), summary.n if summary else 0, *_numbers(summary, "low", "high"), missing]
    line += [" ".join(map(str, sorted(cell.scores)))]
    line += _numbers(comparison and comparison.difference, "mean", "low", "high", "n")
    return [*line, *_numbers(comparison, "p", "floor"), cell.holm]


def _tests(row: Row, cell: Cell) -> list[Any]:
    evidence = cell.evidence
    if evidence is None or cell.comparison is None:
        return [None] * (FIELDS.index("seeds_for_equivalence") - FIELDS.index("against") + 1)
    line = [_escape(str(row.against)), cell.comparison.correlation, evidence.difference.mean, evidence.difference.sd]
    line += [evidence.margin, evidence.low90, evidence.high90]
    line += [p for tests in (evidence.raw, evidence.adjusted) for p in (tests.t, tests.equivalent, tests.not_worse)]
    return [*line, evidence.verdict, evidence.detectable, evidence.seeds_to_detect, evidence.seeds_for_equivalence]


def _facts(table: list[Row]) -> dict[tuple[int, str], list[Any]]:
    """What a setting is and costs on a task."""
    result = {}
    for task in dict.fromkeys(column.task for row in table for column in row.cells):
        steps = {id(one.row): [one.median, one.never] for one in reached(table, task)}
        for one in costs(table, task):
            run = next(run for run in one.row.runs if run["task"] == task)
            line = [_escape(" ".join(f"{site}={name}" for site, name in run["sites"].items()))]
            line += [run["config"].get("match"), one.flops_per_token]
            line += [one.row.budget(task).get("cache_numbers_per_source_token"), one.training, one.decoding]
            line += [one.cache_measured, one.source_cache_measured, *steps.get(id(one.row), [None, None])]
            result[id(one.row), task] = line
    return result


def _loss(row: Row, task: str, split: str) -> float | None:
    """Mean over the runs that came to their end, in nats a token."""
    found = [nll_of(run, split) for run in row.runs if run["task"] == task]
    there = [loss for loss in found if loss is not None]
    return math.fsum(there) / len(there) if there else None


def _numbers(source: stats.Summary | stats.Comparison | Evidence | None, *names: str) -> list[Any]:
    return [getattr(source, name, None) for name in names]


def _escape(text: str) -> str:
    """A spreadsheet takes a text that begins like a formula for one."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
