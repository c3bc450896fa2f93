"""Rows to text: Markdown for GitHub, CSV with plain numbers, LaTeX. The same records give the same bytes.

`page` writes the three files of a study. Each of its tables has a file that makes a `grid`, text in cells, of the
numbers from `ablations.tables`: `headlines`, `differences`, `power`, `controls`, `sites`, `spread`, `axes`, `rates`,
`speed`, `costs` and `details`. `as_markdown`, `as_latex` and `as_csv` say how text looks in a file.
"""

# ruff: noqa: F401

from ablations.tables import baseline_of
from ablations.writers.as_latex import latex
from ablations.writers.as_markdown import markdown
from ablations.writers.differences import comparison_grids
from ablations.writers.grid import Grid
from ablations.writers.headlines import headline_grid
from ablations.writers.page import grids, headline, write
