"""The page itself: sections to one file with its style, its scripts and its data inside."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations import figures
from ablations import record as records
from ablations.files import CONF, write_text
from ablations.report import answer, claims, curves, maps, provenance, runs, safe, scores, studies, translations
from ablations.report.parts import HERE, MARKERS, Study, load

SCRIPTS = ("start.js", "tables.js", "charts.js", "maps.js", "translations.js")
# What this harness calls beside a page about it.
QUESTION = "Does attention need three projection matrices?"


@dataclass(frozen=True)
class Page:
    """The text of the file, and a sentence for every study or claim that it could not show."""

    text: str
    refusals: list[str]


def write(
    results: Path, names: list[str], output: Path, conf: Path = CONF, *, chosen: bool = False
) -> tuple[Page, Path]:
    """Writes the page of these studies in one piece; with refusals into another file, so that an old page stays.

    Returns the page and where it is. `chosen` as for `build`.
    """
    page = build(results, names, conf, chosen=chosen)
    written = output.with_stem(f"{output.stem}-incomplete") if page.refusals else output
    write_text(written, page.text)
    return page, written


def build(
    results: Path, names: list[str], conf: Path = CONF, plots: str | None = None, *, chosen: bool = False
) -> Page:
    """The page of these studies and of all claims. The same records, measurements and claims give the same bytes.

    `plots`: the script of the plotting library, bundled in some seconds where none is given. `chosen`: the studies were
    asked for by name: commands name them, too, and of the claims only those about them are shown.
    """
    plots = library() if plots is None else plots
    found = [load(results, name) for name in names]
    sections = [studies.section(study, conf) for study in found]
    answered = answer.answer(found, conf)
    decided = claims.lines(results, conf, names if chosen else None)
    columns, lines = runs.table(found)
    script = code()
    context = {
        "question": QUESTION,
        "policy": safe.policy(plots, script),
        "style": asset("report.css"),
        "library": plots,
        "script": script,
        "data": safe.script_json(data(found, answered)),
        "command_line": command(results, names, chosen),
        "chosen": "".join(f" --study {name}" for name in names) if chosen else "",
        "answer": answered,
        "sections": sections,
        "columns": columns,
        "lines": lines,
        "choices": choices(found),
        "claims": decided,
        "verdicts": claims.counts(decided),
        "rule": claims.pages.RULE,
        "footer": provenance.footer(found),
    }
    text = safe.environment().get_template("page.html").render(context)
    refusals = [f"study {section.name}: {section.refusal}" for section in sections if section.refusal]
    refusals += [f"claim {line.id}: {line.missing[0]}" for line in decided if line.verdict == "refused"]
    return Page(text, refusals)


def data(found: list[Study], answered: answer.Answer) -> dict[str, Any]:
    """All that the scripts draw."""
    spoken = {
        "colours": list(figures.COLOURS),
        "markers": list(MARKERS.values()),
        "shifts": answered.shifts,
        "lost": answered.lost,
        "curves": curves.data(found),
        "scores": scores.data(found),
        "maps": maps.data(found),
        "losses": curves.LOSSES,
        "costs": scores.COSTS,
        "specs": {
            "shifts": answer.spec(),
            "curves": curves.spec(),
            "seeds": scores.seeds_spec(),
            "costs": scores.costs_spec(),
            "map": maps.spec(),
        },
    }
    return {**safe.plain(spoken), "translations": translations.data(found)}


def command(results: Path, names: list[str], chosen: bool = False) -> str:
    """What makes this page; it names the studies where they were asked for, or are not all."""
    everything = not chosen and sorted(names) == [name for name in records.studies(results) if name != "scratch"]
    return " ".join(["python scripts/report.py", *([] if everything else [f"--study {name}" for name in names])])


def choices(found: list[Study]) -> dict[str, list[str]]:
    """What the table of runs can be filtered by."""
    everything = [run for study in found for run in study.runs]
    strategies = {records.strategy_name(run["sites"]) for run in everything}
    return {
        "study": [study.name for study in found if study.runs],
        "task": sorted({run["task"] for run in everything}),
        "strategy": sorted(strategies),
        "status": sorted({run["status"] for run in everything}),
    }


@functools.cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def code() -> str:
    """Our own scripts as one, whose names are not the library's."""
    return "\n".join(["(() => {", '"use strict";', *(asset(name) for name in SCRIPTS), "})();"])


def asset(name: str) -> str:
    """A file beside this one."""
    return (HERE / "assets" / name).read_text(encoding="utf-8")
