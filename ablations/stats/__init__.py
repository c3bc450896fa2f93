"""What a few seeds, and what a test set, allow to say.

Of scores by seed: `seeds` summarizes and compares them, `margins` asks whether a difference is small enough not to
matter, `power` how many seeds a question needs. Of sentences, windows or examples, by seed: `corpus` makes a score of
their statistics, `checkpoints` compares two checkpoints, `crossed` two settings over seeds and units at once. These
three need numpy and are imported by name.
"""

# ruff: noqa: F401

from ablations.stats import power
from ablations.stats.margins import VERDICTS, Margin, against_margin, verdict
from ablations.stats.seeds import (
    EXACT,
    LEVEL,
    RESAMPLES,
    Comparison,
    Summary,
    adjusted,
    compare,
    deviation,
    holm,
    quantile,
    sign_flip,
    summarize,
    t_test,
)
