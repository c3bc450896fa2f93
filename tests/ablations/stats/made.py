"""Sentences made by hand, and their statistics as sacreBLEU has them."""

import numpy as np
from sacrebleu.metrics.bleu import BLEU

WORDS = "ein eine Mann Frau Hund Ball Straße läuft spielt sitzt rot blau groß und mit auf einem der die das .".split()  # noqa: SIM905


def references(random, n):
    return [" ".join(random.choice(WORDS, random.integers(3, 18))) for _ in range(n)]


def corrupted(random, sentences, right):
    """Words stay with probability `right`, else become others; some go."""
    return [
        " ".join(w if random.random() < right else random.choice(WORDS) for w in s.split() if random.random() < 0.97)
        for s in sentences
    ]


def packed(hypotheses, wanted):
    """[N, 6] as a record's units have them."""
    return np.array(BLEU()._extract_corpus_statistics(hypotheses, [wanted]))[:, :6]
