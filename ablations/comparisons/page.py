"""The page of a study's comparisons, in three formats. The same records give the same bytes."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations.comparisons.pairs import (
    Between,
    Over,
    Pairs,
    between_checkpoints,
    one_unit,
    over_seeds_and_units,
    pairs_of,
    seed_of,
    without_units,
)
from ablations.files import write_text
from ablations.stats import checkpoints, crossed
from ablations.stats.corpus import BLEU
from ablations.tables import KINDS, Column, Record, baseline_of, rows
from ablations.tables.baseline import without_baseline
from ablations.writers import Grid, latex, markdown
from ablations.writers.grid import NOTHING, change_text, listed, margin_text, p_text, plural, with_interval

UNITS = dict(zip(KINDS, ("sentences", "examples", "stretches of text"), strict=True))
FIELDS = ["table", "task", "split", "score", "setting", "against", "seeds", "units", "difference", "low", "high", "p"]
FIELDS += ["p_holm", "error", "degrees", "share_of_seeds", "hierarchical_low", "hierarchical_high", "hierarchical_p"]
FIELDS += ["margin", "low90", "high90", "p_equivalent", "p_not_worse", "p_equivalent_holm", "p_not_worse_holm"]
FIELDS += ["verdict", "p_randomised", "p_sacrebleu_bootstrap"]
SUFFIXES = ("md", "csv", "tex")
Table = tuple[Column, list[Over], dict[str, list[Between]]]


def write(results: str | Path, study: str, splits: Sequence[str] | None = None) -> list[Path]:
    """Writes `<results>/comparisons/<study>.md`, `.csv` and `.tex` from the records of a study; returns their paths.

    `splits`: those of them that the study has, and the page is `<study>-<split>`. None are written where nothing can be
    compared, for which `nothing` has the reason. Raises ValueError where runs cannot stand in one table, where no run
    has such a split, or where a study has the name of the page.
    """
    runs = records.load_all(results, study)
    known = scored_on(runs)
    if splits and not set(splits) & set(known):
        raise ValueError(f"no run of study {study} was scored on {' or '.join(map(repr, splits))}{_known(known)}")
    asked = [split for split in known if split in splits] if splits else []
    name = "-".join([study, *asked])
    if asked and name in records.studies(results):
        raise ValueError(f"{name} is a study with a page of its own under {results}: compare on all splits")
    pairs = _pairs(runs, asked)
    few = one_unit(pairs)
    found = [
        (column, over_seeds_and_units(mine, runs), {one.setting: between_checkpoints(one) for one in mine})
        for column, mine in pairs.items()
        if column not in few
    ]
    if not found:
        return []
    command = " ".join(["python scripts/compare.py", f"--study {study}", *(f"--split {split}" for split in asked)])
    grids = [grid for table in found for grid in _grids(table, runs)]
    heading = f"Comparisons of study {study}" + (f" on {listed(asked)}" if asked else "")
    texts = {
        "md": markdown(heading, [*about(runs), *_alone(runs), *_too_few(few)], grids, command),
        "csv": csv_text(found, command),
        "tex": latex(grids, command),
    }
    written = []
    for suffix, text in texts.items():
        written.append(_file(results, name, suffix))
        write_text(written[-1], text)
    return written


def pages(results: str | Path, study: str, splits: Sequence[str] | None = None) -> list[Path]:
    """The files that `write` would write, of those that are there; where it writes none they tell of other records."""
    asked = [split for split in scored_on(records.briefs(results, study)) if split in (splits or [])]
    files = [_file(results, "-".join([study, *asked]), suffix) for suffix in SUFFIXES]
    return [file for file in files if file.is_file()]


def _file(results: str | Path, name: str, suffix: str) -> Path:
    return Path(results) / "comparisons" / f"{name}.{suffix}"


def scored_on(runs: list[Record]) -> list[str]:
    """The splits that some run has scores of."""
    return sorted({split for run in runs for split in run.get("scores") or {}})


def having(results: str | Path, studies: Sequence[str], splits: Sequence[str]) -> list[str]:
    """The studies with scores on one of the splits. Raises ValueError for a split that none of them has."""
    found = {study: scored_on(records.briefs(results, study)) for study in studies}
    known = sorted({split for mine in found.values() for split in mine})
    for split in splits:
        if split not in known:
            word = f"study {studies[0]}" if len(studies) == 1 else "these studies"
            raise ValueError(f"no run of {word} was scored on {split!r}{_known(known)}")
    return [study for study, mine in found.items() if set(mine) & set(splits)]


def nothing(results: str | Path, study: str, splits: Sequence[str] | None = None) -> str:
    """Why a study has no page, and what would give it one."""
    runs = records.load_all(results, study)
    if not any(run["status"] == "finished" for run in runs):
        return "no finished run yet, nothing to compare"
    if not any(run.get("units") for run in runs):
        return (
            "its records were made before units (counts of every sentence, window or example) were kept: "
            f"`python train.py study={study} rerun=true` trains its runs again and keeps them"
        )
    if few := _too_few(one_unit(_pairs(runs, splits or []))):
        return few[0]
    if found := _alone(runs):
        return " ".join(found)
    return "no setting and its baseline have units of a common seed: nothing to compare"


def _pairs(runs: list[Record], splits: Sequence[str]) -> dict[Column, list[Pairs]]:
    return pairs_of(runs, baseline_of(runs), splits or None)


def _alone(runs: list[Record]) -> list[str]:
    """Settings that have no baseline to be compared with."""
    baseline = baseline_of(runs)
    return without_baseline(rows(runs, baseline), baseline)


def _too_few(columns: list[Column]) -> list[str]:
    titles = [column.title for column in columns]
    return [f"Not compared, as one unit says nothing about others: {listed(titles)}."] if titles else []


def _known(splits: list[str]) -> str:
    return f" (known: {', '.join(splits) or 'none'})"


def about(runs: list[Record]) -> list[str]:
    """What stands above the tables."""
    low, high = checkpoints.MEASURED["architectures"]
    sentences = [
        "Over seeds and units: would other seeds and other sentences say the same? The intervals are of "
        "95 %, by Student's t; p is two-sided; Holm adjusts for the settings of one table, so that each table is a "
        "family: say beforehand which one is the headline. Measured rates of error: results/bench/calibration.md.",
        "Two checkpoints: statements about these two checkpoints, not about the architectures; as statements about "
        f"architectures such tests reject {low:g} to {high:g} % of true null hypotheses at 5 %.",
    ]
    missing = without_units(runs)
    if missing:
        some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        sentences.append(
            f"{plural(len(missing), 'finished run')} without units on record, in none of these tables: {some}."
        )
    return sentences


def _grids(table: Table, runs: list[Record]) -> list[Grid]:
    column, over, between = table
    kind = next(run["kind"] for run in runs if run["task"] == column.task)
    return [_over_grid(column, over, UNITS[kind]), _between_grid(column, between, UNITS[kind])]


def _over_grid(column: Column, over: list[Over], units: str) -> Grid:
    header = ["setting", "minus", "pairs", units, "Δ crossed [95 %]", "p", "Holm", "Δ hierarchical [95 %]"]
    header += ["p hierarchical", "seeds' share", "verdict"]
    body = []
    for one in over:
        estimate, again, pairs = one.crossed, one.hierarchical, one.pairs
        line = [pairs.setting, pairs.against, str(len(pairs.seeds))]
        if one.value is None:
            lost = [f"{count} {status}" for status, count in pairs.missing.items()]
            lost += [f"{plural(pairs.without, 'pair')} without units"] if pairs.without else []
            told = f"{NOTHING} ({', '.join(lost) or 'no pair'})"
            body.append([*line, NOTHING, told, *[NOTHING] * 5, one.verdict or NOTHING])
            continue
        line.append(f"{pairs.setting_SNK.shape[1]:,}")
        if estimate is None or again is None:
            body.append([*line, f"{change_text(column, one.value)} (one pair)", *[NOTHING] * 5, one.verdict])
            continue
        line += [
            _interval(column, estimate),
            p_text(estimate.p),
            p_text(one.holm),
            _interval(column, again),
            p_text(again.p),
        ]
        body.append([*line, f"{100 * estimate.of_seeds:.0f} %", one.verdict])
    notes = [
        f"Δ: setting minus baseline{', perplexity in percent of it' if column.ratio else ''}. Crossed: seeds and "
        f"{units} as random effects. Hierarchical: {crossed.RESAMPLES} resamples of the {units} with random seed "
        f"{seed_of(column)} (CRC-32 of task and split), all of the seeds; its variance freed of what it counts twice. "
        "Seeds' share: of the squared standard error; the rest more sentences would lower."
    ]
    margin = next((one.margin.margin for one in over if one.margin), None)
    if margin is not None:
        told = margin_text(column, margin)
        notes.append(f"Equivalent or not worse: within the study's margin of {told}, each test adjusted by Holm.")
    notes += _lost(over)
    if any(one.crossed is None for one in over) and len(over) > 1:
        notes.append(
            "A setting without a test stays in Holm's family with p = 1: losing it makes no other test easier."
        )
    without = [f"{one.pairs.setting} ({one.pairs.without})" for one in over if one.pairs.without]
    if without:
        notes.append(f"Pairs of seeds left out, for want of units: {', '.join(without)}.")
    return Grid(f"{column.title}: over seeds and {units}", header, body, notes)


def _lost(over: list[Over]) -> list[str]:
    """Runs that diverged, and what they leave of the verdicts."""
    notes = []
    if lost := [f"{one.pairs.setting} ({one.pairs.lost})" for one in over if one.pairs.lost]:
        notes.append(f"Runs of a setting that diverged: {', '.join(lost)}. It is worse or inconclusive.")
    if lost := {one.pairs.against: one.pairs.baseline_lost for one in over if one.pairs.baseline_lost}:
        named = ", ".join(f"{against} ({count})" for against, count in lost.items())
        notes.append(f"Runs of a baseline that diverged: {named}. Nothing is worse than it or equivalent to it.")
    return notes


def _between_grid(column: Column, between: dict[str, list[Between]], units: str) -> Grid:
    header = ["setting", "seed", "Δ [95 %, centred bootstrap]", "p centred bootstrap", "p randomisation"]
    of_bleu = column.score == BLEU.name
    header += ["p sacreBLEU bootstrap"] if of_bleu else []
    body = []
    for setting, pairs in between.items():
        for one in pairs:
            line = [setting, str(one.seed), _interval(column, one), p_text(one.centred.p), p_text(one.randomised)]
            body.append([*line, p_text(one.sacrebleu)] if of_bleu else line)
    low, high = checkpoints.MEASURED["architectures"]
    notes = [
        "Statements about these two checkpoints, not about the architectures; as statements about architectures such "
        f"tests reject {low:g} to {high:g} % of true null hypotheses. Not adjusted for their number.",
        f"Randomisation: {checkpoints.TRIALS} trials over {units}, sacreBLEU's random numbers (seed "
        f"{checkpoints.SEED}). Centred bootstrap: {checkpoints.INTERVAL} resamples, random seed {seed_of(column)}.",
    ]
    if of_bleu:
        notes.append(
            f"sacreBLEU's paired bootstrap ({checkpoints.RESAMPLES} resamples) rejects too often by construction: "
            f"{checkpoints.MEASURED['sacrebleu']:g} % of true null hypotheses at 5 %. It is here to be compared with "
            "other papers; go by the randomisation."
        )
    return Grid(f"{column.title}: two checkpoints at a time, no statement about architectures", header, body, notes)


def _interval(column: Column, found: crossed.Estimate | Between) -> str:
    interval = found.centred if isinstance(found, Between) else found
    return with_interval(*(change_text(column, size) for size in (found.value, interval.low, interval.high)))


def csv_text(found: list[Table], command: str) -> str:
    """One line per comparison, unrounded; perplexities as differences of nats per token."""
    file = io.StringIO()
    file.write(f"# Made by `{command}` from records alone; do not edit.\n")
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
    writer.writeheader()
    for _, over, between in found:
        for one in over:
            writer.writerow({**_about_pairs(one.pairs), **_over_fields(one)})
            for pair in between[one.pairs.setting]:
                line = {"table": "two checkpoints", "seeds": pair.seed, "difference": pair.value}
                line |= {"low": pair.centred.low, "high": pair.centred.high, "p": pair.centred.p}
                line |= {"p_randomised": pair.randomised, "p_sacrebleu_bootstrap": pair.sacrebleu}
                writer.writerow({**_about_pairs(one.pairs), **line})
    return file.getvalue()


def _about_pairs(pairs: Pairs) -> dict[str, Any]:
    column = pairs.column
    names = {"task": column.task, "split": column.split, "setting": pairs.setting, "against": pairs.against}
    return {**names, "score": column.score, "units": pairs.setting_SNK.shape[1] if pairs.seeds else None}


def _over_fields(one: Over) -> dict[str, Any]:
    line: dict[str, Any] = {"table": "over seeds and units", "seeds": " ".join(map(str, one.pairs.seeds))}
    line |= {"difference": one.value, "verdict": one.verdict}
    if one.crossed and one.hierarchical:
        estimate, again = one.crossed, one.hierarchical
        line |= {"low": estimate.low, "high": estimate.high, "p": estimate.p, "p_holm": one.holm}
        line |= {"error": estimate.error, "degrees": estimate.degrees, "share_of_seeds": estimate.of_seeds}
        line |= {"hierarchical_low": again.low, "hierarchical_high": again.high, "hierarchical_p": again.p}
    if one.margin:
        line |= {"margin": one.margin.margin, "low90": one.margin.low90, "high90": one.margin.high90}
        line |= {"p_equivalent": one.margin.p_equivalent, "p_not_worse": one.margin.p_not_worse}
        line |= {"p_equivalent_holm": one.holm_equivalent, "p_not_worse_holm": one.holm_not_worse}
    return line
