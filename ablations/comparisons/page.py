"""The page of a study's comparisons, in three formats. The same records give the same bytes."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablations import record as records
from ablations.comparisons.pairs import (
    Between,
    Over,
    Pairs,
    between_checkpoints,
    over_seeds_and_units,
    pairs_of,
    seed_of,
    without_units,
)
from ablations.files import write_text
from ablations.stats import checkpoints, crossed
from ablations.stats.corpus import BLEU
from ablations.tables import KINDS, SCORES, Column, Record
from ablations.writers import Grid, baseline_of, latex, markdown

NOTHING = "—"
UNITS = dict(zip(KINDS, ("sentences", "examples", "stretches of text"), strict=True))
FIELDS = ["table", "task", "split", "score", "setting", "against", "seeds", "units", "difference", "low", "high", "p"]
FIELDS += ["p_holm", "error", "degrees", "share_of_seeds", "hierarchical_low", "hierarchical_high", "hierarchical_p"]
FIELDS += ["margin", "low90", "high90", "p_equivalent", "p_not_worse", "p_equivalent_holm", "p_not_worse_holm"]
FIELDS += ["verdict", "p_randomised", "p_sacrebleu_bootstrap"]
Table = tuple[Column, list[Over], dict[str, list[Between]]]


def write(results: str | Path, study: str, splits: Sequence[str] | None = None) -> list[Path]:
    """Writes `<results>/comparisons/<study>.md`, `.csv` and `.tex` from the records of a study; returns their paths.

    `splits`: these alone. None are written where no setting and its baseline have units of a common seed. Raises
    ValueError where runs cannot stand in one table, or no run has such a split.
    """
    runs = records.load_all(results, study)
    known = sorted({split for run in runs for split in run.get("scores") or {}})
    for split in splits or ():
        if split not in known:
            raise ValueError(f"no run of study {study} was scored on {split!r} (known: {', '.join(known) or 'none'})")
    if not any(run["status"] == "finished" for run in runs):
        return []
    found = [
        (column, over_seeds_and_units(pairs, runs), {one.setting: between_checkpoints(one) for one in pairs})
        for column, pairs in pairs_of(runs, baseline_of(runs), splits).items()
    ]
    if not found:
        return []
    command = " ".join(["python scripts/compare.py", f"--study {study}", *(f"--split {name}" for name in splits or ())])
    grids = [grid for table in found for grid in _grids(table, runs)]
    texts = {
        "md": markdown(f"Comparisons of study {study}", about(runs), grids, command),
        "csv": csv_text(found, command),
        "tex": latex(grids, command),
    }
    written = []
    for suffix, text in texts.items():
        written.append(Path(results) / "comparisons" / f"{study}.{suffix}")
        write_text(written[-1], text)
    return written


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
            f"{len(missing)} finished runs have no units on record and are in none of these tables: {some}."
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
        line = [pairs.setting, pairs.against, str(len(pairs.seeds)), f"{pairs.setting_SNK.shape[1]:,}"]
        if estimate is None or again is None:
            body.append([*line, f"{_size(column, one.value)} (one pair)", *[NOTHING] * 5, one.verdict])
            continue
        line += [_interval(column, estimate), _p(estimate.p), _p(one.holm), _interval(column, again), _p(again.p)]
        body.append([*line, f"{100 * estimate.of_seeds:.0f} %", one.verdict])
    notes = [
        f"Δ: setting minus baseline{', perplexity in percent of it' if column.ratio else ''}. Crossed: seeds and "
        f"{units} as random effects. Hierarchical: {crossed.RESAMPLES} resamples of the {units} with random seed "
        f"{seed_of(column)} (CRC-32 of task and split), all of the seeds; its variance freed of what it counts twice. "
        "Seeds' share: of the squared standard error; the rest more sentences would lower."
    ]
    margin = next((one.margin.margin for one in over if one.margin), None)
    if margin is not None:
        told = f"{100 * math.expm1(margin):.4g} %" if column.ratio else f"{margin:g} {SCORES[column.score][0]}"
        notes.append(f"Equivalent or not worse: within the study's margin of {told}, each test adjusted by Holm.")
    without = [f"{one.pairs.setting} ({one.pairs.without})" for one in over if one.pairs.without]
    if without:
        notes.append(f"Pairs of seeds left out, for want of units: {', '.join(without)}.")
    return Grid(f"{column.title}: over seeds and {units}", header, body, notes)


def _between_grid(column: Column, between: dict[str, list[Between]], units: str) -> Grid:
    header = ["setting", "seed", "Δ [95 %, centred bootstrap]", "p centred bootstrap", "p randomisation"]
    of_bleu = column.score == BLEU.name
    header += ["p sacreBLEU bootstrap"] if of_bleu else []
    body = []
    for setting, pairs in between.items():
        for one in pairs:
            line = [setting, str(one.seed), _interval(column, one), _p(one.centred.p), _p(one.randomised)]
            body.append([*line, _p(one.sacrebleu)] if of_bleu else line)
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


def _size(column: Column, value: float) -> str:
    return f"{100 * math.expm1(value):+.2f} %" if column.ratio else f"{value:+.{SCORES[column.score][1]}f}"


def _interval(column: Column, found: crossed.Estimate | Between) -> str:
    interval = found.centred if isinstance(found, Between) else found
    return f"{_size(column, found.value)} [{_size(column, interval.low)}, {_size(column, interval.high)}]"


def _p(p: float | None) -> str:
    return NOTHING if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


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
    return {**names, "score": column.score, "units": pairs.setting_SNK.shape[1]}


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
