"""Grids in LaTeX."""

import re

from ablations.writers.grid import Grid

WIDE = 5  # columns that fit as they are


def latex(grids: list[Grid], command: str) -> str:
    """Tables for `\\usepackage{booktabs,graphicx}`, notes as captions, wide ones made to fit the line.

    What is only a note is a comment.
    """
    lines = [f"% Made by `{command}` from records alone; do not edit. Needs \\usepackage{{booktabs,graphicx}}."]
    for grid in grids:
        if not grid.body:
            lines += ["", *(f"% {grid.title}: {note}" for note in grid.notes)]
            continue
        caption = " ".join([f"{grid.title}.", *grid.notes])
        lines += ["", r"\begin{table}", r"\centering", rf"\caption{{{_escape(caption)}}}"]
        fit, end = (r"\resizebox{\linewidth}{!}{%", "}") if len(grid.header) > WIDE else ("", "")
        lines += [*([fit] if fit else []), rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}", r"\toprule"]
        header, *body = [" & ".join(map(_escape, line)) + r" \\" for line in (grid.header, *grid.body)]
        lines += [header, r"\midrule", *body, r"\bottomrule", r"\end{tabular}" + end, r"\end{table}"]
    return "\n".join(lines) + "\n"


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
LATEX |= {">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$", "Δ": r"$\Delta$", "²": r"$^2$", "—": "---"}
LATEX |= {"×": r"$\times$", "≥": r"$\geq$"}
LATEX |= {character: "\\" + character for character in "&%$#_{}"}
ESCAPED = str.maketrans(LATEX)
SIGN = re.compile(r"(?<![\w.-])([+-])(?=\d)")  # longer than a hyphen


def _escape(text: str) -> str:
    return SIGN.sub(r"$\1$", re.sub(r"\s+", " ", text).translate(ESCAPED))
