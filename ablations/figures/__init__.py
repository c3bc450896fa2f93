"""Pictures of a study from its records alone, as PNG and SVG.

A file for each figure and a line for it in `study.FIGURES`, whose name draws it alone: `python scripts/figures.py
--figure dots`. `training` and `intervals` are what several figures draw, `material` is what all are made of, `labels`
are the names of settings, `style` is how they look, `canvas` writes them.
"""

# ruff: noqa: F401

from ablations.figures.canvas import Drawing, save
from ablations.figures.maps import attention_maps
from ablations.figures.material import Material, by_setting, materials
from ablations.figures.study import FIGURES, check, drawings, write
from ablations.figures.style import COLOURS, DASHES, MARKERS, STYLE, Look, looks, style
