"""The figures of a study that lie in its folder: those that a page shows, and those that it names."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ablations.figures import FIGURES

SHOWN = ("dots", "differences", "pareto", "rates", "curves", "order")  # by their names in FIGURES; others are linked


@dataclass(frozen=True)
class Picture:
    """A file below the results folder, with what it shows in words."""

    link: str  # relative to the folder of the pages
    title: str
    says: str  # how to read it
    shown: bool


def pictures(results: Path, study: str) -> list[Picture]:
    """In the order of FIGURES, by task."""
    files = (results / "figures" / study).glob("*.svg")
    return [_picture(file, study) for file in sorted(files, key=lambda file: (*_place(file.stem), file.stem))]


def _place(stem: str) -> tuple[str, int]:
    """Task and number of the figure, of `<task>-<figure>[-<part>]`."""
    for number, name in enumerate(FIGURES):
        if found := re.fullmatch(rf"(.+)-{name}(-.+)?", stem):
            return found[1], number
    return "", len(FIGURES)


def _picture(file: Path, study: str) -> Picture:
    svg = file.read_text(encoding="utf-8")[:5000]  # the words stand at its top
    title, says = (
        html.unescape(found[1]) if (found := re.search(rf'<{name} id="{name}">(.*?)[<\n]', svg)) else ""
        for name in ("title", "desc")
    )
    number = _place(file.stem)[1]
    shown = number < len(FIGURES) and list(FIGURES)[number] in SHOWN
    return Picture(quote(f"../figures/{study}/{file.name}"), title or file.stem, f"{says.split('. ')[0]}.", shown)
