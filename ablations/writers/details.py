"""Every score of every split."""

from ablations.tables import SCORES, Column, Record, Row, all_columns
from ablations.writers.grid import Grid, cell_text


def detail_grids(table: list[Row], runs: list[Record]) -> list[Grid]:
    """A table for each task."""
    columns, grids = all_columns(runs), []
    for task in dict.fromkeys(column.task for column in columns):
        mine = [column for column in columns if column.task == task]
        scores = [score for score in SCORES if any(column.score == score for column in mine)]
        body = []
        for split in dict.fromkeys(column.split for column in mine):
            there = [Column(score, task, split) for score in scores]
            for row in table:
                if any(column in row.cells for column in there):
                    body.append([str(row.setting), split, *(cell_text(row.cells.get(c), c) for c in there)])
        header = ["setting", "split", *(SCORES[score][0] for score in scores)]
        grids.append(Grid(f"Task {task}", header, body, detail=True))
    return grids
