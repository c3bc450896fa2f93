"""How often the tests of the tables reject where nothing differs, and how often their intervals hold the truth.

Measured on made-up runs (`nulls`), by the functions that make the tables. Rates are in percent with the Monte Carlo
interval (Wilson, 95 %) of so many data sets.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ablations import stats
from ablations.bench.nulls import World, make
from ablations.bench.rates import ALPHA, AT_MOST, INTERVAL, TEST, Line, Rates, attained, holds, table
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.stats import checkpoints, crossed
from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY, contributions
from ablations.stats.margins import of_error
from ablations.stats.units import stretches

SEEDS = (3, 5, 6, 8, 10)
FAMILY = 5  # settings in a table

TRANSLATION = World(BLEU, seed=0.015, unit=0.15, units=500)
TEXT = World(PERPLEXITY, seed=0.01, unit=0.05, units=120)
OPINIONS = World(ACCURACY, seed=0.1, unit=0.3, units=500)
SHIFTS = {"bleu": 0.15, "perplexity": 0.1, "accuracy": 1.0}  # so that a margin of this size can be shown


def calibration(setup: Setup) -> Iterator[Table]:
    """Over seeds; over seeds and units; of two checkpoints; and the rule for degrees of freedom."""
    sets = 12 if setup.quick else 2000
    yield over_seeds(sets)
    for title, world, family in (
        ("translation, seeds and sentences differ", TRANSLATION, FAMILY),
        ("translation, sentences differ alike in both architectures", replace(TRANSLATION, unit=0.0), 1),
        ("translation, seeds differ by chance alone", replace(TRANSLATION, seed=0.0), 1),
        ("language model, windows of a text", TEXT, 1),
        ("classification", OPINIONS, 1),
    ):
        yield over_both(title, world, sets, family)
    yield neighbours(sets)
    yield between_checkpoints(sets)
    yield degrees(200 if setup.quick else 200_000)


def over_seeds(sets: int) -> Table:
    """One test set for all: what is drawn anew are seeds."""
    world, most = replace(TRANSLATION, unit=0.0), max(SEEDS)
    scores = fixed_text(world, sets, FAMILY + 2, most)  # shifted, baseline, and a family that is like the baseline
    truth = scores.mean((1, 2))
    margin = float(truth[0] - truth[1:].mean())
    found: Rates = defaultdict(list)
    for n in SEEDS:
        for one in scores[:, :, :n].transpose(1, 0, 2).tolist():
            shifted, base, *family = (dict(enumerate(arm)) for arm in one)
            null = [compared(arm, base) for arm in family]
            ts = [stats.t_test(comparison.difference) or 0.0 for comparison in null]
            ps = [comparison.p or 0.0 for comparison in null]
            found["paired t test", n].append(ts[0] < ALPHA)
            found["exact sign flip", n].append(ps[0] < ALPHA)
            found["Holm over 5 t tests, any", n].append(min(stats.holm(ts)) < ALPHA)
            found["Holm over 5 sign flips, any", n].append(min(stats.holm(ps)) < ALPHA)
            below = stats.against_margin(compared(base, shifted).difference, margin, higher=True)
            assert below is not None
            found["TOST, a margin apart", n].append(below.p_equivalent < ALPHA)
            found["non-inferiority, a margin below", n].append(below.p_not_worse < ALPHA)
            found["t interval of a difference", n].append(holds(compared(shifted, base).difference, margin))
            found["t interval of a mean", n].append(holds(stats.summarize(one[0]), float(truth[0])))
    attainable = ", ".join(f"{100 * attained(n):.1f} (n={n})" for n in SEEDS)
    coarse = f"of so few pairs it can reject {attainable} at most"
    lines = [
        Line("paired t test", TEST),
        Line("exact sign flip", TEST, coarse),
        Line("Holm over 5 t tests, any", AT_MOST),
        Line("Holm over 5 sign flips, any", AT_MOST),
        Line("TOST, a margin apart", TEST),
        Line("non-inferiority, a margin below", TEST),
        Line("t interval of a difference", INTERVAL),
        Line("t interval of a mean", INTERVAL),
    ]
    notes = [
        f"{sets} data sets; one test set of {world.units} sentences; BLEU {truth[1]:.1f}, over seeds ± "
        f"{scores[1].std(1, ddof=1).mean():.2f}; margin {margin:.2f} BLEU.",
        "Holm: a promise of 5 % at most, and less where tests share a baseline.",
    ]
    return table("Over seeds, on one test set", SEEDS, found, lines, notes)


def over_both(title: str, world: World, sets: int, family: int) -> Table:
    """Seeds and units drawn anew: what the crossed interval and the hierarchical bootstrap promise."""
    score, most = world.score, max(SEEDS)
    random, shift = np.random.default_rng(2), SHIFTS[world.score.name]
    found: Rates = defaultdict(list)
    truth = true_difference(world, sets, shift)
    spread, few = [], np.random.default_rng(3)
    for data in chunks(world, random, sets, 2 + family, most, shift):
        parts = contributions(score, data)
        spread.append(parts[1].mean(-1).std(ddof=1))
        null, shifted = parts[2:] - parts[1], parts[0] - parts[1]
        drawn = crossed.resampled(score, data[2], data[1], crossed.RESAMPLES, 0)
        again = crossed.resampled(score, data[0], data[1], crossed.RESAMPLES, 0) if family > 1 or score.ratio else None
        for n in SEEDS:
            estimates = [crossed.crossed(one[:n]) for one in null]
            found["crossed", n].append(estimates[0].p < ALPHA)
            if family > 1:
                holm = stats.holm([estimate.p for estimate in estimates])
                found["Holm over 5 crossed, any", n].append(min(holm) < ALPHA)
            apart = crossed.crossed(shifted[:n])
            found["crossed interval", n].append(holds(apart, truth))
            margin = of_error(-apart.value, apart.error, apart.degrees, abs(truth), truth > 0)
            found["crossed TOST, a margin apart", n].append(margin.p_equivalent < ALPHA)
            found["crossed non-inferiority, a margin below", n].append(margin.p_not_worse < ALPHA)
            bootstrap = crossed.of_resamples(null[0, :n].mean(1), drawn[:, :n], world.units)
            found["hierarchical bootstrap", n].append(bootstrap.p < ALPHA)
            if again is not None:
                bootstrap = crossed.of_resamples(shifted[:n].mean(1), again[:, :n], world.units)
                found["hierarchical bootstrap interval", n].append(holds(bootstrap, truth))
            chosen = few.integers(n, size=(len(drawn), n))
            low, high = np.quantile(np.take_along_axis(drawn, chosen, 1).mean(1), [ALPHA / 2, 1 - ALPHA / 2])
            found["its percentiles alone (not used)", n].append(not low <= 0 <= high)
            alone = stats.t_test(stats.summarize(null[0, :n].mean(1).tolist()))
            found["t test over seeds, read as of other units (not so used)", n].append((alone or 0.0) < ALPHA)
    shy = "below 5 where units have most of the variance, see the last table"
    lines = [
        Line("crossed", TEST, shy),
        Line("crossed interval", INTERVAL, shy),
        Line("crossed TOST, a margin apart", TEST),
        Line("crossed non-inferiority, a margin below", TEST),
        *([Line("Holm over 5 crossed, any", AT_MOST)] if family > 1 else []),
        Line("hierarchical bootstrap", TEST, shy),
        *([Line("hierarchical bootstrap interval", INTERVAL, shy)] if family > 1 or score.ratio else []),
        Line("its percentiles alone (not used)", None),
        Line("t test over seeds, read as of other units (not so used)", None),
    ]
    notes = [
        f"{sets} data sets of {world.units} units each; seeds ± {np.mean(spread):.3g}, a true difference of "
        f"{truth:.3g} for intervals and as the margin{' (nats per token)' if score.ratio else ''}."
    ]
    return table(f"Over seeds and units: {title}", SEEDS, found, lines, notes)


def neighbours(sets: int) -> Table:
    """Windows of one text are no independent units; stretches of many are nearly so."""
    world = World(PERPLEXITY, seed=0.01, unit=0.05, units=1000, reach=0.7)
    found: Rates = defaultdict(list)
    for data in chunks(world, np.random.default_rng(4), sets, 2, max(SEEDS), 0.0):
        for what, units in (("windows", data), ("stretches of windows", stretches(data))):
            difference = crossed.differences(world.score, units[0], units[1])
            for n in SEEDS:
                found[f"crossed, {what}", n].append(crossed.crossed(difference[:n]).p < ALPHA)
    lines = [Line("crossed, windows", None), Line("crossed, stretches of windows", TEST)]
    notes = [
        f"{sets} data sets of 1000 windows; what an architecture makes of a window is correlated by {world.reach} with "
        "its neighbour. Tables use stretches."
    ]
    return table("Language model, windows like their neighbours", SEEDS, found, lines, notes)


def between_checkpoints(sets: int) -> Table:
    """Two checkpoints; and what comes of reading such a test as one of architectures."""
    found: Rates = defaultdict(list)
    lines, notes = [], []
    kinds = ("no seed", "seeds apart", "seeds far apart")
    for world, name in ((TRANSLATION, "BLEU"), (TEXT, "perplexity"), (OPINIONS, "accuracy")):
        spread = []
        for kind, seed in zip(kinds, (0.0, world.seed, 2 * world.seed), strict=True):
            # What only shows that these are no tests of architectures need not be known as well.
            for what, hits in rejections(replace(world, seed=seed), sets if not seed else sets // 4, name).items():
                found[what, kind] = hits
            spread.append(f"± {spread_of(replace(world, seed=seed), sets):.2g}")
        truth = true_difference(replace(world, seed=0.0), sets, SHIFTS[world.score.name])
        found[f"{name}: centred bootstrap interval", kinds[0]] = covered(replace(world, seed=0.0), sets, truth)
        coarse = "differences are whole examples, so that few levels can be attained" if name == "accuracy" else ""
        lines.append(Line(f"{name}: paired randomisation", TEST, coarse))
        if name == "BLEU":
            lines.append(Line(f"{name}: sacreBLEU's paired bootstrap", TEST, "one-sided by construction, see its text"))
        lines += [
            Line(f"{name}: centred bootstrap", TEST),
            Line(f"{name}: centred bootstrap interval", INTERVAL),
        ]
        notes.append(f"{name}: {world.units} units; runs of one architecture {', '.join(spread)} in the three columns.")
    notes.append(
        f"{sets} pairs in the first column, {sets // 4} in the others. Bars hold for the first column, the null "
        "hypothesis of these tests. The others: how often they reject if read as tests of architectures, which they "
        "are not."
    )
    return table("Two checkpoints", kinds, found, lines, notes, barred=kinds[:1])


def rejections(world: World, sets: int, name: str) -> dict[str, list[bool]]:
    """By test, of one seed an arm."""
    found: dict[str, list[bool]] = defaultdict(list)
    for data in chunks(world, np.random.default_rng(5), sets, 2, 1, 0.0):
        pair = world.score, data[0, 0], data[1, 0]
        found[f"{name}: paired randomisation"].append(checkpoints.randomised(*pair) < ALPHA)
        found[f"{name}: centred bootstrap"].append(checkpoints.centred(*pair).p < ALPHA)
        if name == "BLEU":
            found[f"{name}: sacreBLEU's paired bootstrap"].append(checkpoints.sacrebleu_bootstrap(*pair) < ALPHA)
    return found


def covered(world: World, sets: int, truth: float) -> list[bool]:
    """Whether the centred bootstrap's interval holds a true difference."""
    data = chunks(world, np.random.default_rng(6), sets, 2, 1, SHIFTS[world.score.name])
    return [holds(checkpoints.centred(world.score, one[0, 0], one[1, 0]), truth) for one in data]


def spread_of(world: World, sets: int) -> float:
    """Standard deviation over seeds of the score on one test set."""
    return float(fixed_text(world, max(2, sets // 20), 1, max(SEEDS))[0].std(1, ddof=1).mean())


RULES = {"Satterthwaite: 1 / sum(share² / degrees)": 2, "ours: 1 / sum(share / degrees)": 1}


def degrees(draws: int) -> Table:
    """The rule for degrees of freedom: a variance of which a share is known by n - 1 degrees and the rest exactly."""
    shares = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
    random, found = np.random.default_rng(7), defaultdict(list)
    for n in SEEDS:
        for share in shares:
            seeds = share * random.chisquare(n - 1, draws) / (n - 1)
            variance, mean = seeds + 1 - share, np.abs(random.normal(size=draws))
            for rule, power in RULES.items():
                far = mean > stdtrit((n - 1) / (seeds / variance) ** power) * np.sqrt(variance)
                found[rule, n].append(100 * float(far.mean()))
    rows = [[rule, *(f"{min(found[rule, n]):.1f} to {max(found[rule, n]):.1f}" for n in SEEDS)] for rule in RULES]
    note = f"Normal data, {draws} draws each; lowest and highest rate over shares of {', '.join(map(str, shares))}."
    return Table("Degrees of freedom, rejections at 5 %", ["rule", *(f"n = {n}" for n in SEEDS)], rows, [note])


def stdtrit(free: np.ndarray) -> np.ndarray:
    """Quantiles of t for a two-sided test."""
    from scipy.special import stdtrit

    return stdtrit(free, 1 - ALPHA / 2)


def chunks(world: World, random: np.random.Generator, sets: int, arms: int, seeds: int, shift: float) -> Iterator:
    """Data sets [arms, seeds, units, K] one by one, made some at a time."""
    for start in range(0, sets, 20):
        yield from make(world, random, min(20, sets - start), arms, seeds, shift)


def fixed_text(world: World, sets: int, arms: int, seeds: int) -> np.ndarray:
    """[arms, sets, seeds] scores on one test set; the first arm shifted."""
    random, found, left = np.random.default_rng(1), [], sets * seeds
    while left:
        count = min(left, 200)
        data = make(world, random, 1, arms, count, SHIFTS[world.score.name], np.random.default_rng(0))
        found.append(world.score.value(data[0].sum(-2)))
        left -= count
    return np.concatenate(found, 1).reshape(arms, sets, seeds)


def true_difference(world: World, sets: int, shift: float) -> float:
    """Of the first arm and another, mean over many test sets with 10 seeds each."""
    random, values = np.random.default_rng(8), []
    for data in chunks(world, random, sets, 2, 10, shift):
        scores = world.score.value(data.sum(-2)).mean(1)
        values.append(scores[0] - scores[1])
    return float(np.mean(values))


def compared(setting: dict[int, float], baseline: dict[int, float]) -> stats.Comparison:
    """By seed; all have all seeds."""
    comparison = stats.compare(setting, baseline)
    assert comparison is not None
    return comparison
