"""Rows to text: Markdown for GitHub, CSV with plain numbers, LaTeX. The same records give the same bytes."""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations import stats
from ablations.files import write_text
from ablations.tables import SCORES, Cell, Column, Record, Row, all_columns, conditions, headline_columns, rows

NOTHING = "—"


@dataclass(frozen=True)
class Grid:
    """A table as text, not yet escaped."""

    title: str
    header: list[str]
    body: list[list[str]]
    notes: list[str] = field(default_factory=list)


def write(results: str | Path, *studies: str, name: str | None = None) -> list[Path]:
    """Writes `<results>/tables/<study>.md`, `.csv` and `.tex` from the records of a study; returns their paths.

    Several studies stand side by side in one table, which then needs a name. None where no run is finished. Raises
    ValueError where the runs cannot stand in one table.
    """
    runs = [run for study in studies for run in records.briefs(results, study)]
    if not any(run["status"] == "finished" for run in runs):
        return []
    command = " ".join(["python scripts/tables.py", *(f"--study {study}" for study in studies)])
    if name is not None:
        command += f" --join {records.check_study(name)}"
    title = name or studies[0]
    baseline, table = baseline_of(runs), rows(runs, baseline_of(runs))
    grids = [headline_grid(table, runs, baseline), *comparison_grids(table, runs, baseline), *detail_grids(table, runs)]
    texts = {
        "md": markdown(f"Study {title}", _about(runs), grids, command),
        "csv": csv_text(table, command),
        "tex": latex(grids, command),
    }
    written = []
    for suffix, text in texts.items():
        written.append(Path(results) / "tables" / f"{title}.{suffix}")
        write_text(written[-1], text)
    return written


def headline(runs: list[Record], baseline: str | None = None) -> str:
    """The headline table in Markdown, to be printed in a terminal; `baseline` by default as the runs' study says."""
    baseline = baseline or baseline_of(runs)
    return "\n".join(_markdown_grid(headline_grid(rows(runs, baseline), runs, baseline), level="")) + "\n"


def baseline_of(runs: list[Record]) -> str:
    """The strategy that the study of these runs compares others with."""
    # A record may have come from another study, whose baseline is another's affair.
    own = [run for run in runs if run["config"]["study"]["name"] == run["study"]] or runs
    named = sorted({run["config"]["study"].get("baseline") or "separate" for run in own})
    if len(named) != 1:
        raise ValueError(f"the runs of study {own[0]['study']} name several baselines ({', '.join(named)}): choose one")
    return named[0]


def headline_grid(table: list[Row], runs: list[Record], baseline: str) -> Grid:
    """The notes' columns first: BLEU, perplexity, size of the maps; then costs, and the difference to the baseline."""
    columns = headline_columns(runs)
    tasks = list(dict.fromkeys(column.task for column in columns))
    alone = len({column.score for column in columns}) == len(columns)
    header = ["setting", *(column.title for column in columns)]
    header += ["Q, K, V maps (d²)", "parameters", "cache per token"]
    header += [f"Δ {SCORES[column.score][0] if alone else column.title} [95 %]" for column in columns]
    body = []
    for row in table:
        line = [str(row.setting), *(cell_text(row.cells.get(column), column) for column in columns)]
        line += [
            _costs(row.projection_d2, tasks, ".4g"),
            _costs(row.parameters, tasks),
            _costs(row.cache_numbers, tasks),
        ]
        line += [_difference(row, column) for column in columns]
        body.append(line)
    high = "BLEU, higher accuracy" if any(column.score == "accuracy" for column in columns) else "BLEU"
    notes = [
        "Cells: mean ± sample standard deviation over n seeds, without ± where n = 1. Runs without a score stand "
        "beside n.",
        f"Δ: setting minus {baseline}, paired by seed, mean with 95 % t interval. Higher {high} and lower perplexity "
        "are better.",
        "Maps: weights of the query, key and value maps, mean over attention sites, in units of d_model². Cache: "
        "numbers remembered per decoded token. Where a cost has two numbers, they are the tasks' in the order of the "
        "columns.",
        *_conditions(runs, tasks),
    ]
    if not any(row.baseline for row in table):
        notes.append(f"No run of the baseline {baseline} is on record: there is nothing to compare with.")
    return Grid("Headline", header, body, notes)


def comparison_grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """Every comparison of the headline with its test; none where nothing can be compared."""
    body = []
    for column in headline_columns(runs):
        for row in table:
            cell = row.cells.get(column)
            if cell is None or cell.comparison is None:
                continue
            p = NOTHING if cell.comparison.p is None else f"{cell.comparison.p:.4g} ({cell.comparison.floor:.4g})"
            holm = NOTHING if cell.holm is None else f"{cell.holm:.4g}"
            n = str(cell.comparison.difference.n)
            body.append([str(row.setting), column.title, _difference(row, column), n, p, holm])
    notes = [
        "p: exact two-sided sign-flip permutation test over seeds; in brackets the smallest p that so many pairs can "
        "give. Holm: adjusted for all comparisons in this table. A large p is no evidence of equality."
    ]
    header = ["setting", "score", f"minus {baseline} [95 %]", "pairs", "exact p (floor)", "Holm"]
    return [Grid("Differences", header, body, notes)] if body else []


def detail_grids(table: list[Row], runs: list[Record]) -> list[Grid]:
    """Per task, all scores of all splits."""
    columns, grids = all_columns(runs), []
    for task in dict.fromkeys(column.task for column in columns):
        mine = [column for column in columns if column.task == task]
        scores = [score for score in SCORES if any(column.score == score for column in mine)]
        body = [
            [
                str(row.setting),
                split,
                *(cell_text(row.cells.get(Column(s, task, split)), Column(s, task, split)) for s in scores),
            ]
            for split in dict.fromkeys(column.split for column in mine)
            for row in table
            if any(column in row.cells for column in mine if column.split == split)
        ]
        grids.append(Grid(f"Task {task}", ["setting", "split", *(SCORES[score][0] for score in scores)], body))
    return grids


def cell_text(cell: Cell | None, column: Column) -> str:
    """Such as `27.31 ± 0.14 (n=5)`, `27.31 (n=1)` or `27.31 ± 0.14 (n=4, 1 diverged)`."""
    if cell is None:
        return NOTHING
    missing = [f"{count} {status}" for status, count in cell.missing.items()]
    if cell.summary is None:
        return f"{NOTHING} ({', '.join(missing)})"
    decimals = SCORES[column.score][1]
    spread = "" if cell.summary.sd is None else f" ± {cell.summary.sd:.{decimals}f}"
    return f"{cell.summary.mean:.{decimals}f}{spread} ({', '.join([f'n={cell.summary.n}', *missing])})"


def _difference(row: Row, column: Column) -> str:
    cell = row.cells.get(column)
    if row.baseline and cell is not None:
        return "baseline"
    if cell is None or cell.comparison is None:
        return NOTHING
    difference, decimals = cell.comparison.difference, SCORES[column.score][1]
    if difference.low is None:
        return f"{difference.mean:+.{decimals}f} (one pair)"
    return f"{difference.mean:+.{decimals}f} [{difference.low:+.{decimals}f}, {difference.high:+.{decimals}f}]"


def _costs(by_task: dict[str, Any], tasks: list[str], form: str = ",") -> str:
    return " / ".join(dict.fromkeys(f"{by_task[task]:{form}}" for task in tasks if task in by_task)) or NOTHING


def _conditions(runs: list[Record], tasks: list[str]) -> list[str]:
    """What the runs of a task have in common, in a sentence each."""
    notes = []
    for task in tasks:
        run = next((run for run in runs if run["task"] == task and run["status"] == "finished"), None)
        if run is not None:
            facts = conditions(run)
            parts = [f"{facts['number of steps']} steps of {facts['tokens per step']} tokens", facts["precision"]]
            parts += [f"data {facts['data digest'][:12]}"]
            parts += sorted(
                {f"sacreBLEU {value}" for name, value in facts.items() if name.startswith("BLEU signature")}
            )
            notes.append(f"{task}: {', '.join(parts)}.")
    return notes


def _about(runs: list[Record]) -> list[str]:
    """What each study asked, expected and called small, before its first run."""
    studies = {run["study"]: run["config"]["study"] for run in runs}
    sentences = []
    for study in studies.values():
        sentences += [f"{key.capitalize()}: {study[key]}" for key in ("question", "prediction") if study.get(key)]
        if study.get("margin_bleu") is not None:
            sentences.append(f"Costs little, if within {study['margin_bleu']:g} BLEU.")
        if study.get("margin_perplexity") is not None:
            sentences.append(f"Costs little, if within {100 * study['margin_perplexity']:g} % of perplexity.")
    return sentences


def markdown(title: str, about: list[str], grids: list[Grid], command: str) -> str:
    """A page of tables, each with its notes."""
    lines = [f"<!-- Made by `{command}` from records alone; do not edit. -->", f"# {_escape_markdown(title)}", ""]
    for sentence in about:
        lines += [_escape_markdown(sentence), ""]
    for grid in grids:
        lines += [*_markdown_grid(grid, level="## "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_grid(grid: Grid, level: str) -> list[str]:
    lines = [[_escape_markdown(text) for text in line] for line in (grid.header, *grid.body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    notes = [line for note in grid.notes for line in ("", _escape_markdown(note) if level else note)]
    return [*([level + _escape_markdown(grid.title), ""] if level else []), padded[0], rule, *padded[1:], *notes]


def _escape_markdown(text: str) -> str:
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*|]|(?<!\w)_|_(?!\w))", r"\\\1", text)


CSV = ["setting", "task", "split", "score", "mean", "sd", "n", "low", "high", "missing", "seeds"]
CSV += ["difference", "difference_low", "difference_high", "pairs", "p", "p_floor", "p_holm"]
CSV += ["projection_d2", "parameters", "cache_numbers_per_token"]


def csv_text(table: list[Row], command: str) -> str:
    """One line per setting and score, unrounded; the first line is a comment that names the command."""
    file = io.StringIO()
    file.write(f"# Made by `{command}` from records alone; do not edit.\n")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV)
    for row in table:
        for column, cell in row.cells.items():
            missing = " ".join(f"{count} {status}" for status, count in cell.missing.items())
            names = [_escape_csv(text) for text in (str(row.setting), column.task, column.split)]
            summary, comparison = cell.summary, cell.comparison
            line = [*names, column.score, *_numbers(summary, "mean", "sd"), summary.n if summary else 0]
            line += [*_numbers(summary, "low", "high"), missing, " ".join(map(str, sorted(cell.scores)))]
            line += _numbers(comparison and comparison.difference, "mean", "low", "high", "n")
            line += [*_numbers(comparison, "p", "floor"), cell.holm]
            line += [costs.get(column.task) for costs in (row.projection_d2, row.parameters, row.cache_numbers)]
            writer.writerow(line)
    return file.getvalue()


def _numbers(source: stats.Summary | stats.Comparison | None, *names: str) -> list[Any]:
    return [getattr(source, name, None) for name in names]


def _escape_csv(text: str) -> str:
    """A spreadsheet takes a text that begins like a formula for one."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def latex(grids: list[Grid], command: str) -> str:
    """Tables for `\\usepackage{booktabs}`, with their notes as captions."""
    lines = [f"% Made by `{command}` from records alone; do not edit. Needs \\usepackage{{booktabs}}."]
    for grid in grids:
        caption = " ".join([f"{grid.title}.", *grid.notes])
        lines += ["", r"\begin{table}", r"\centering", rf"\caption{{{_escape_latex(caption)}}}"]
        lines += [rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}", r"\toprule"]
        header, *body = [" & ".join(map(_escape_latex, line)) + r" \\" for line in (grid.header, *grid.body)]
        lines += [header, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
LATEX |= {">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "Δ": r"$\Delta$", "²": r"$^2$", "—": "---"}
LATEX |= {character: "\\" + character for character in "&%$#_{}"}
ESCAPED = str.maketrans(LATEX)


def _escape_latex(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<![\w.-])([+-])(?=\d)", r"$\1$", text.translate(ESCAPED))  # a sign is longer than a hyphen
