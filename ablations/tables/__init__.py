"""Records to the numbers of a study's tables, not yet text.

`columns` says which scores there are, `settings` which runs are one row, `baseline` what others are compared with,
`mixtures` what cannot stand in one table; `rows` puts the runs into cells and compares them, `evidence` says what a
comparison comes to. From the rows: `controls` at equal cost, `sites`, `axes` for one more setting beside the strategy,
`rates` of learning, `spread` over a grid of several tasks, `speed` in steps, `costs`; `planned` says which runs are
missing.
"""

# ruff: noqa: F401

from ablations.tables.baseline import baseline_of
from ablations.tables.columns import KINDS, SCORES, Column, Record, all_columns, headline_columns
from ablations.tables.evidence import Evidence
from ablations.tables.mixtures import conditions, refuse_mixtures
from ablations.tables.rows import Cell, Row, compared, rows
from ablations.tables.settings import Setting, settings
