"""Pictures of a study from its records alone, as PNG and SVG.

A file for each figure, a line for it in `study.FIGURES`; `training` and `intervals` are what several of them draw,
`material` is what all are made of, `style` how they look, `canvas` where they go. Files and columns of text are named
after the figure: `python scripts/figures.py --figure dots`.
"""

# ruff: noqa: F401

from ablations.figures.canvas import Drawing, save
from ablations.figures.maps import attention_maps
from ablations.figures.material import Material, by_setting, materials
from ablations.figures.study import FIGURES, check, drawings, write
from ablations.figures.style import COLOURS, DASHES, MARKERS, STYLE, Look, looks, style
