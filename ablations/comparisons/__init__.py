"""Every setting against the baseline of its study, over seeds and units, and checkpoint by checkpoint.

`pairs` compares, from records alone; `page` writes `<results>/comparisons/<study>.md`, `.csv` and `.tex`.
"""

# ruff: noqa: F401

from ablations.comparisons.page import having, nothing, pages, write
from ablations.comparisons.pairs import (
    Between,
    Over,
    Pairs,
    between_checkpoints,
    one_unit,
    over_seeds_and_units,
    pairs_of,
    without_units,
)
