"""What an exact check hands back: findings, and tables and pictures that show them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module

from ablations.exact import CHECKS


@dataclass(frozen=True)
class Finding:
    """One sentence, whether it is so, and the numbers that say so."""

    sentence: str
    holds: bool
    numbers: dict[str, float | int | str] = field(default_factory=dict)
    remark: bool = False  # ours, not the claim's: shown, and not counted for its verdict


@dataclass(frozen=True)
class Table:
    """Numbers to be printed as they stand, a header above."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[float | int | str]]


@dataclass(frozen=True)
class Picture:
    """Square matrices side by side, drawn in shades of one scale per row of panels."""

    title: str
    labels: Sequence[str]  # of rows and columns
    panels: Sequence[Sequence[tuple[str, Sequence[Sequence[float]]]]]  # rows of (caption, matrix)


@dataclass(frozen=True)
class Outcome:
    """Of one check."""

    findings: Sequence[Finding]
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def carry_out(check: str) -> Outcome:
    """Runs the check of this name. torch is loaded here."""
    return getattr(import_module(f"ablations.exact.{CHECKS[check]}"), check)()
