"""Units of made-up runs between which nothing differs, or by as much as one says: what calibration is measured on.

A run of seed s with architecture a on unit i does well by an effect of the unit, one of the seed, one of architecture
and unit together, and chance. Under the null hypothesis both architectures draw all of these from the same
distributions. The sentences are as Multi30k's: 12 words on average, BLEU about 35, seeds about 0.4 BLEU apart.
"""

from dataclasses import dataclass

import numpy as np

from ablations.stats.corpus import ACCURACY, BLEU, PERPLEXITY, Score

SENTENCES, LEVELS, SPARE, STEP, TRIES = 1000, 41, 20, 0.1, 12
AGREE = 0.8  # share of the sentences
WORDS = 40  # in the longest sentence
TOKENS = 64  # in a window of text


@dataclass(frozen=True)
class World:
    """How large the effects are, in logits of a word's (or an example's) being right, or nats per token."""

    score: Score
    seed: float  # standard deviation over seeds
    unit: float  # of architecture and unit together, beyond what is common to both
    units: int
    reach: float = 0.0  # correlation of that effect in neighbouring units, as in windows of one text


def make(
    world: World,
    random: np.random.Generator,
    sets: int,
    arms: int,
    seeds: int,
    shift: float = 0.0,
    text: np.random.Generator | None = None,
) -> np.ndarray:
    """[sets, arms, seeds, units, K] statistics; the first arm is better by `shift`, in the unit of the effects.

    Every set has units of its own, drawn by `text` if it is given: equal generators draw equal units.
    """
    shape = (sets, arms, seeds, world.units)
    effect = random.normal(0, world.seed, shape[:3])[..., None] + _along(world, random, (sets, arms, 1, world.units))
    effect[:, 0] += shift
    return MAKERS[world.score.name](random, effect, text or random)


def _along(world: World, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Effects of architecture and unit, a first-order autoregression along the units."""
    fresh = random.normal(0, 1, shape)
    if world.reach:
        for unit in range(1, shape[-1]):
            fresh[..., unit] = world.reach * fresh[..., unit - 1] + (1 - world.reach**2) ** 0.5 * fresh[..., unit]
    return world.unit * fresh


def _sentences(random: np.random.Generator, effect: np.ndarray, text: np.random.Generator) -> np.ndarray:
    sets, _, _, units = effect.shape
    which = text.integers(SENTENCES, size=(sets, 1, 1, units))
    # Between two levels a sentence takes one or the other, the same for the same effect.
    between = text.uniform(size=(sets, 1, 1, units))
    level = np.clip(np.floor(effect / STEP + between).astype(np.int64) + SPARE, 0, LEVELS - 1)
    # Runs agree on most sentences: then it is the same try, and only the level may make a difference.
    common, own = text.integers(TRIES, size=(sets, 1, 1, units)), random.integers(TRIES, size=effect.shape)
    tried = np.where(random.uniform(size=effect.shape) < AGREE, common, own)
    packed = _pool()[np.broadcast_to(which, effect.shape), level, tried]
    return BLEU.statistics(packed.reshape(-1, 6)).reshape(*effect.shape, -1)


_POOL: list[np.ndarray] = []


def _pool() -> np.ndarray:
    """[SENTENCES, LEVELS, TRIES, 6]: every sentence as translated at every level of quality, several times.

    Words are right or wrong in runs; a wrong one matches nothing. Hypotheses are up to 2 words shorter or longer. One
    try is of one luck at all levels: at a better level what was right stays right.
    """
    if not _POOL:
        random = np.random.default_rng(20)
        shape = (SENTENCES, LEVELS, TRIES)
        length = np.clip(np.rint(np.exp(random.normal(2.4, 0.35, SENTENCES))), 4, WORDS - 2).astype(np.int64)
        hard = random.normal(0, 0.8, SENTENCES)
        quality = 0.35 + STEP * (np.arange(LEVELS) - SPARE)
        right_p = 1 / (1 + np.exp(-(quality[None] - hard[:, None])))[..., None]
        lucks = (SENTENCES, 1, TRIES)
        there = length[:, None, None] + random.choice([-2, -1, 0, 0, 0, 1, 2], lucks)
        there = np.broadcast_to(there, shape)
        last, run = np.zeros(shape, bool), np.zeros(shape, np.int64)
        matches = np.zeros((*shape, 4), np.int64)
        for word in range(WORDS):
            fresh = random.uniform(size=lucks) < right_p
            last = np.where((random.uniform(size=lucks) < 0.35) & (word > 0), last, fresh)
            counted = last & (word < np.minimum(there, length[:, None, None]))
            run = np.where(counted, run + 1, 0)
            for order in range(4):
                matches[..., order] += run > order
        lengths = np.broadcast_to(length[:, None, None], shape)
        _POOL.append(np.concatenate([there[..., None], lengths[..., None], matches], -1).astype(np.int16))
    return _POOL[0]


def _windows(random: np.random.Generator, effect: np.ndarray, text: np.random.Generator) -> np.ndarray:
    """Nats of windows of text: some texts are much harder than others, and chance of a run on a window."""
    sets, _, _, units = effect.shape
    per_token = 3 + text.gamma(4, 0.25, (sets, 1, 1, units)) - effect + random.normal(0, 0.05, effect.shape)
    return np.stack([TOKENS * per_token, np.full(effect.shape, float(TOKENS))], -1)


def _examples(random: np.random.Generator, effect: np.ndarray, text: np.random.Generator) -> np.ndarray:
    sets, _, _, units = effect.shape
    easy = text.normal(1.5, 2, (sets, 1, 1, units))
    right = random.uniform(size=effect.shape) < 1 / (1 + np.exp(-easy - effect))
    return np.stack([100.0 * right, np.ones(effect.shape)], -1)


MAKERS = {BLEU.name: _sentences, PERPLEXITY.name: _windows, ACCURACY.name: _examples}
