"""Grids in GitHub's Markdown."""

import re

from ablations.writers.grid import Grid


def markdown(title: str, about: list[str], grids: list[Grid], command: str) -> str:
    """A page of tables, each with its notes."""
    lines = [f"<!-- Made by `{command}` from records alone; do not edit. -->", f"# {escape(title)}", ""]
    for sentence in about:
        lines += [escape(sentence), ""]
    for grid in grids:
        lines += [*grid_lines(grid, level="## "), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def grid_lines(grid: Grid, level: str) -> list[str]:
    """The lines of one table; without a level there is no heading, and notes are for a terminal."""
    notes = [line for note in grid.notes for line in ("", escape(note) if level else note)]
    title = [level + escape(grid.title)] if level else []
    if not grid.body:
        return [*title, *notes]
    lines = [[escape(text) for text in line] for line in (grid.header, *grid.body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        "| " + " | ".join([text.ljust(width) for text, width in zip(line, widths, strict=True)]) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [*title, *([""] if title else []), padded[0], rule, *padded[1:], *notes]


SPECIAL = re.compile(r"([\\`*|]|(?<!\w)_|_(?!\w)|(?<=\])[(\[])")  # after a ], ( and [ begin where a link leads
LESS = re.compile(r"<(?! )")  # before a space it begins no tag, and reads in plain text as it is
UNSAFE = re.compile(r"[\s&<>\\`*|_\]]")


def escape(text: str) -> str:
    """Text that reads as it is and makes no markup, on one line."""
    if not UNSAFE.search(text):
        return text
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace(">", "&gt;")
    text = LESS.sub("&lt;", text)
    return SPECIAL.sub(r"\\\1", text)
