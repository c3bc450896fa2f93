"""The headline: every setting with its scores, its costs, and what its difference to the baseline comes to."""

from ablations.tables import SCORES, Column, Record, Row, conditions, headline_columns
from ablations.tables.baseline import without_baseline
from ablations.writers.grid import NOTHING, Grid, cell_text, costs_text, difference_text, listed, lost_word, margin_text


def headline_grid(table: list[Row], runs: list[Record], baseline: str) -> Grid:
    """The notes' columns first: BLEU, perplexity, size of the maps; then costs, difference to the baseline, verdict."""
    columns = headline_columns(runs)
    tasks = list(dict.fromkeys(column.task for column in columns))
    alone = len({column.score for column in columns}) == len(columns)
    names = {column: SCORES[column.score][0] if alone else column.title for column in columns}
    header = ["setting", *(column.title for column in columns)]
    header += ["Q, K, V maps (d²)", "parameters", "cache per token"]
    header += [f"Δ {names[column]} [95 %]" for column in columns]
    header += ["verdict" if len(columns) == 1 else f"verdict, {names[column]}" for column in columns]
    body = []
    for row in table:
        line = [str(row.setting), *(cell_text(row.cells.get(column), column) for column in columns)]
        line += [
            costs_text(row.projection_d2, tasks, ".4g"),
            costs_text(row.parameters, tasks),
            costs_text(row.cache_numbers, tasks),
        ]
        line += [difference_text(row, column) for column in columns]
        line += [_verdict(row, column) for column in columns]
        body.append(line)
    better = dict.fromkeys(f"{'higher' if c.higher else 'lower'} {SCORES[c.score][0]}" for c in columns)
    notes = [
        "Cells: mean ± sample standard deviation over n seeds, without ± where n = 1. Runs without a score stand "
        "beside n.",
        f"Δ: setting minus {baseline}, paired by seed, mean with 95 % t interval. Better: {listed(list(better))}.",
        *_rule(table, columns),
        "Maps: weights of the query, key and value maps, mean over attention sites, in units of d_model². Cache: "
        "numbers remembered per decoded token. Where a cost has two numbers, they are the tasks' in the order of the "
        "columns.",
        *_conditions(runs, tasks),
    ]
    notes += without_baseline(table, baseline)
    return Grid("Headline", header, body, notes)


def _verdict(row: Row, column: Column) -> str:
    cell = row.cells.get(column)
    if cell is None or row.baseline:
        return NOTHING
    return cell.evidence.verdict if cell.evidence is not None else lost_word(cell)


def _rule(table: list[Row], columns: list[Column]) -> list[str]:
    """How the verdicts come about; nothing where there is none."""
    found: dict[Column, float | None] = {}
    for row in table:
        for column in columns:
            cell = row.cells.get(column)
            if cell is not None and cell.evidence is not None:
                found[column] = cell.evidence.margin
    if not found:
        return []
    fixed = {column: margin for column, margin in found.items() if margin is not None}
    margins = [margin_text(column, margin) + " of perplexity" * column.ratio for column, margin in fixed.items()]
    margins = list(dict.fromkeys(margins))
    without = list(dict.fromkeys(SCORES[column.score][0] for column, margin in found.items() if margin is None))
    words = ["Verdict, at 5 % after Holm over all comparisons here: "]
    if margins:
        words += [f"equivalent if two one-sided t tests say within the margin ({listed(margins)}); else "]
    words += ["better or worse by the paired t test; "]
    if margins:
        words += ["else not worse if a one-sided t test rules out a loss of the margin; "]
    words += ["else inconclusive, which is no evidence of equality."]
    if any(column.ratio for column in found):
        words += [" Perplexities are tested by their logarithm, in nats; Δ and its interval are of themselves."]
    if margins and without:
        words += [f" No margin is fixed for {listed(without)}."]
    if any(cell.lost for row in table if not row.baseline for cell in row.cells.values()):
        words += [" A setting of which a run diverged is worse or inconclusive, whatever the others say."]
    if any(row.cells[column].lost for row in table if row.baseline for column in found if column in row.cells):
        words += [
            " Where a run of the baseline diverged, what is left of it is a selection in its favour: no setting is "
            "then worse or equivalent."
        ]
    return ["".join(words)]


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
