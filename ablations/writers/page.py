"""The page of a study: every table that its records make meaningful, in three formats."""

from pathlib import Path

from ablations import record as records
from ablations.files import write_text
from ablations.record import halves
from ablations.tables import Record, Row, baseline_of, rows
from ablations.tables.planned import missing
from ablations.writers.as_csv import csv_text
from ablations.writers.as_latex import latex
from ablations.writers.as_markdown import grid_lines, markdown
from ablations.writers.axes import axis_grids
from ablations.writers.controls import control_grids
from ablations.writers.costs import cost_grids
from ablations.writers.details import detail_grids
from ablations.writers.differences import comparison_grids
from ablations.writers.grid import Grid, listed, margins_in_words
from ablations.writers.headlines import headline_grid
from ablations.writers.power import power_grids
from ablations.writers.rates import rate_grids
from ablations.writers.sites import site_grids
from ablations.writers.speed import speed_grids
from ablations.writers.spread import spread_grids


def write(results: str | Path, *studies: str, name: str | None = None) -> list[Path]:
    """Writes `<results>/tables/<study>.md`, `.csv` and `.tex` from the records of a study; returns their paths.

    Several studies stand side by side in one table, which then needs a name. None where no run is finished. Raises
    ValueError where the runs cannot stand in one table, or where the name is that of a study and its page would go.
    """
    if name is not None and records.check_study(name) in records.studies(results):
        raise ValueError(f"{name} is a study with a page of its own under {results}: join under another name")
    by_study = {study: records.briefs(results, study) for study in studies}
    runs = [run for mine in by_study.values() for run in mine]
    if not any(run["status"] == "finished" for run in runs):
        return []
    command = " ".join(["python scripts/tables.py", *(f"--study {study}" for study in studies)])
    if name is not None:
        command += f" --join {name}"
    title = name or studies[0]
    baseline = baseline_of(runs)
    table = rows(runs, baseline)
    heading = f"Study {title}" if name is None else f"Studies {listed(list(studies))}"
    texts: dict[str, str] = {}

    def pages() -> None:
        found = grids(table, runs, baseline)
        texts["md"] = markdown(heading, [*_about(runs), *_partial(by_study, table)], found, command)
        texts["tex"] = latex(found, command)

    def numbers() -> str:
        return csv_text(table, command)

    if halves.worth_it(len(runs)):
        texts["csv"] = halves.both(pages, numbers) or numbers()
    else:
        pages()
        texts["csv"] = numbers()
    written = []
    for suffix in ("md", "csv", "tex"):
        written.append(Path(results) / "tables" / f"{title}.{suffix}")
        write_text(written[-1], texts[suffix])
    return written


def grids(table: list[Row], runs: list[Record], baseline: str) -> list[Grid]:
    """The tables of a page, in order; which ones there are hangs on what the runs differ in."""
    return [
        headline_grid(table, runs, baseline),
        *comparison_grids(table, runs, baseline),
        *power_grids(table, runs),
        *control_grids(table, runs),
        *site_grids(table, runs, baseline),
        *spread_grids(table, runs, baseline),
        *axis_grids(table, runs, baseline),
        *rate_grids(table, runs, baseline),
        *speed_grids(table, runs, baseline),
        *cost_grids(table, runs),
        *detail_grids(table, runs),
    ]


def headline(runs: list[Record], baseline: str | None = None) -> str:
    """The headline table in Markdown, to be printed in a terminal; `baseline` by default as the runs' study says."""
    baseline = baseline or baseline_of(runs)
    return "\n".join(grid_lines(headline_grid(rows(runs, baseline), runs, baseline), level="")) + "\n"


def _about(runs: list[Record]) -> list[str]:
    """What each study asked, expected and called small, before its first run."""
    studies = {run["study"]: run["config"]["study"] for run in runs}
    sentences = []
    for study in studies.values():
        sentences += [f"{key.capitalize()}: {study[key]}" for key in ("question", "prediction") if study.get(key)]
        sentences += [f"Costs little, if within {margin}." for margin in margins_in_words(study)]
    return sentences


def _partial(by_study: dict[str, list[Record]], table: list[Row]) -> list[str]:
    """What is missing of each study; of several, which one it is missing of."""
    found = {study: missing(study, runs, table) for study, runs in by_study.items()}
    lacking = {study: sentence for study, sentence in found.items() if sentence}
    return [sentence if len(found) == 1 else f"{study}: {sentence}" for study, sentence in lacking.items()]
