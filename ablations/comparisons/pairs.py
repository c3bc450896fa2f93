"""Comparisons over seeds and units, and of checkpoints, as numbers.

From records alone: `units` of a record are what its scores are sums of, sentence by sentence or window by window.
Tables of `ablations.tables` compare scores by seed and speak of one test set; these say what other sentences would
change.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ablations import stats
from ablations.stats import checkpoints
from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY, Score, statistics
from ablations.stats.crossed import Estimate, crossed, differences, hierarchical
from ablations.stats.margins import Margin, of_error
from ablations.stats.units import stretches
from ablations.tables import Column, Record, Row, rows
from ablations.tables.evidence import margins
from ablations.tables.mixtures import name_of
from ablations.units import unpack

COLUMNS = {"bleu": BLEU, "accuracy": ACCURACY, "token_perplexity": PERPLEXITY}  # as records and tables name them


@dataclass(frozen=True)
class Pairs:
    """A setting and the baseline on one split: statistics of the same units and the same seeds."""

    column: Column
    setting: str
    against: str
    seeds: tuple[int, ...]
    setting_SNK: np.ndarray
    baseline_SNK: np.ndarray
    lost: int  # runs of the setting that came to no score
    baseline_lost: int  # the same of the baseline
    without: int  # seeds that both have, of which one record has no units
    missing: Mapping[str, int] = field(default_factory=dict)  # what became of the setting's other runs, and how many

    @property
    def score(self) -> Score:
        """Of the column."""
        return COLUMNS[self.column.score]

    @property
    def differences(self) -> np.ndarray:
        """[S], of the scores themselves; of perplexities in nats."""
        return self.score.value(self.setting_SNK.sum(1)) - self.score.value(self.baseline_SNK.sum(1))


@dataclass(frozen=True)
class Over:
    """A comparison over seeds and units. Without estimates where there is one pair of seeds."""

    pairs: Pairs
    crossed: Estimate | None
    hierarchical: Estimate | None
    margin: Margin | None  # by the crossed estimate, against the study's margin
    holm: float | None = None  # of the crossed p, over the settings of a table
    holm_equivalent: float | None = None
    holm_not_worse: float | None = None

    @cached_property
    def value(self) -> float | None:
        """Mean difference over the seeds. None without a pair."""
        return float(self.pairs.differences.mean()) if self.pairs.seeds else None

    @property
    def verdict(self) -> str:
        """By the rule of `stats.verdict`, from p values over seeds and units; without a pair what became of runs."""
        if self.value is None:
            return "" if self.pairs.without else " and ".join(self.pairs.missing) or "inconclusive"
        difference = stats.Summary(self.value, None, len(self.pairs.seeds), None, None)
        tests = self.holm, self.holm_equivalent, self.holm_not_worse
        lost = self.pairs.lost, self.pairs.baseline_lost
        return stats.verdict(difference, self.pairs.score.higher, *tests, *lost)


@dataclass(frozen=True)
class Between:
    """Two checkpoints, of one seed."""

    seed: int
    value: float
    centred: checkpoints.Centred
    randomised: float
    sacrebleu: float | None  # its paired bootstrap; of BLEU alone


def pairs_of(runs: list[Record], baseline: str, splits: Iterable[str] | None = None) -> dict[Column, list[Pairs]]:
    """Every setting and the baseline's row it is compared with, by column, where some setting and its
    baseline have units of a common seed; those that have none are there without seeds.

    Pairs are those of `tables.rows`. Raises ValueError where two
    runs cannot stand in one table, or where units do not fit their score or each other.
    """
    table = rows(runs, baseline)
    by_setting = {row.setting: row for row in table}
    wanted = None if splits is None else set(splits)
    found: dict[Column, list[Pairs]] = {}
    for column in dict.fromkeys(column for row in table for column in row.cells):
        if column.score not in COLUMNS or (wanted is not None and column.split not in wanted):
            continue
        for row in table:
            if row.against is not None and column in row.cells and column in by_setting[row.against].cells:
                found.setdefault(column, []).append(_pairs(row, by_setting[row.against], column))
    return {column: pairs for column, pairs in found.items() if any(one.seeds for one in pairs)}


def one_unit(found: dict[Column, list[Pairs]]) -> list[Column]:
    """Columns of fewer than 2 units, which say nothing about other units."""
    tested = {column: [one for one in pairs if one.seeds] for column, pairs in found.items()}
    return [column for column, pairs in tested.items() if any(one.setting_SNK.shape[1] < 2 for one in pairs)]


def without_units(runs: list[Record]) -> list[str]:
    """Names of finished runs that were evaluated before units were kept."""
    return sorted({name_of(run) for run in runs if run["status"] == "finished" and not run.get("units")})


def over_seeds_and_units(pairs: list[Pairs], runs: list[Record]) -> list[Over]:
    """The settings of one column, which are one family for Holm, those without a pair in it."""
    margin = margins(runs, [pairs[0].column])[pairs[0].column] if pairs else None
    found = [_over(one, margin) for one in pairs]
    p = stats.adjusted({index: one.crossed.p if one.crossed else None for index, one in enumerate(found)})
    equivalent = stats.adjusted({i: one.margin.p_equivalent if one.margin else None for i, one in enumerate(found)})
    not_worse = stats.adjusted({i: one.margin.p_not_worse if one.margin else None for i, one in enumerate(found)})
    return [
        replace(one, holm=p[index], holm_equivalent=equivalent[index], holm_not_worse=not_worse[index])
        for index, one in enumerate(found)
    ]


def between_checkpoints(pairs: Pairs) -> list[Between]:
    """Seed by seed."""
    seed, score, found = seed_of(pairs.column), pairs.score, []
    for index, run in enumerate(pairs.seeds):
        both = score, pairs.setting_SNK[index], pairs.baseline_SNK[index]
        of_bleu = checkpoints.sacrebleu_bootstrap(*both) if score is BLEU else None
        centred = checkpoints.centred(*both, seed=seed)
        value = float(pairs.differences[index])
        found.append(Between(run, value, centred, checkpoints.randomised(*both), of_bleu))
    return found


def seed_of(column: Column) -> int:
    """Of the random numbers of a test set: CRC-32 of its task and split."""
    return zlib.crc32(f"{column.task} {column.split}".encode())


def _over(pairs: Pairs, margin: float | None) -> Over:
    if len(pairs.seeds) < 2:
        return Over(pairs, None, None, None)
    score, both = pairs.score, (pairs.setting_SNK, pairs.baseline_SNK)
    estimate = crossed(differences(score, *both))
    again = hierarchical(score, *both, seed=seed_of(pairs.column))
    if margin is None:
        return Over(pairs, estimate, again, None)
    limit = math.log1p(margin) if score.ratio else margin
    within = of_error(estimate.value, estimate.error, estimate.degrees, limit, score.higher)
    return Over(pairs, estimate, again, within)


def _pairs(row: Row, base: Row, column: Column) -> Pairs:
    setting, baseline = _by_seed(row, column), _by_seed(base, column)
    common = row.cells[column].scores.keys() & base.cells[column].scores.keys()
    seeds = tuple(sorted(setting.keys() & baseline.keys()))
    sizes = {len(units) for one in (setting, baseline) for units in (one[seed] for seed in seeds)}
    if len(sizes) > 1:
        raise ValueError(
            f"runs of {row.setting} and {base.setting} were scored on {' and '.join(map(str, sorted(sizes)))} units of "
            f"{column.task}, {column.split}: evaluate them again on the same text"
        )
    one, other = ([found[seed] for seed in seeds] for found in (setting, baseline))
    empty = np.empty((0, 0, 0))
    return Pairs(
        column,
        str(row.setting),
        str(base.setting),
        seeds,
        np.stack(one) if one else empty,
        np.stack(other) if other else empty,
        row.cells[column].lost,
        base.cells[column].lost,
        len(common) - len(seeds),
        row.cells[column].missing,
    )


def _by_seed(row: Row, column: Column) -> dict[int, np.ndarray]:
    """Statistics [N, K] of the runs that have a score and units."""
    score, found = COLUMNS[column.score], {}
    for run in row.runs:
        packed = (run.get("units") or {}).get(column.split, {})
        if run["task"] != column.task or run["seed"] not in row.cells[column].scores or not packed:
            continue
        if not set(score.fields) <= packed.keys():
            continue
        try:
            units = statistics(score, {field: unpack(packed[field]) for field in score.fields})
        except ValueError as error:
            raise ValueError(f"{name_of(run)}, {column.split}: {error}") from None
        _refuse_others(run, column, score, units)
        found[run["seed"]] = stretches(units) if run["kind"] == "language_modeling" else units
    return found


def _refuse_others(run: Record, column: Column, score: Score, units: np.ndarray) -> None:
    """Units and score were written together; where they disagree one of them is not this run's."""
    there, value = run["scores"][column.split][column.score], float(score.value(units.sum(0)))
    value = math.exp(value) if score.ratio else value
    if not math.isclose(there, value, rel_tol=1e-4, abs_tol=1e-6):  # nats are kept as float32
        raise ValueError(
            f"{name_of(run)}: its units give {value:.4f} for {column.title} and its record says {there:.4f}: "
            "evaluate it again"
        )
