"""The verdict on each claim with its effects, as the claims' own functions decide it."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from ablations.claims import pages, schema
from ablations.claims.verdict import Decision
from ablations.claims.write import verdict
from ablations.files import CONF, read_yaml
from ablations.writers.grid import NOTHING

ORDER = ("supported", "partly", "refuted", "undecided", "refused")


@dataclass(frozen=True)
class Part:
    """What one part of a claim came to."""

    verdict: str
    says: str
    effect: str
    interval: str
    n: str


@dataclass(frozen=True)
class Line:
    """A claim; `missing` is what would decide it, or why it was refused."""

    id: str
    verdict: str
    question: str = ""
    statement: str = ""
    note: str = ""
    prediction: str = ""
    tested: str = ""
    change: str = ""
    parts: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def lines(results: Path, conf: Path = CONF, studies: list[str] | None = None) -> list[Line]:
    """All claims of `conf/claim/`, decided, or those of which a part is about one of `studies`.

    The exact checks among them load torch and take some seconds.
    """
    found = []
    for file in schema.files(conf):
        if studies is not None and not about(file, studies):
            continue
        try:
            decided = verdict(file, results, conf)
        except ValueError as error:
            found.append(Line(file.stem, "refused", missing=(str(error),), commands=(command(file.stem),)))
            continue
        claim = decided.claim
        prose = {
            key: getattr(claim, key) for key in ("question", "statement", "note", "prediction", "tested", "change")
        }
        found.append(
            Line(
                claim.id,
                decided.verdict,
                **prose,
                parts=tuple(map(_part, decided.decisions)),
                missing=tuple(decided.missing),
                commands=tuple(pages.commands(claim)),
            )
        )
    return found


def about(file: Path, studies: list[str]) -> bool:
    """Whether a part of the claim in a file is about runs of one of the studies."""
    return not outline(file)[1].isdisjoint(studies)


def outline(file: Path) -> tuple[str, frozenset[str]]:
    """The question of a claim, and the studies whose runs its parts are about, as far as the file can be read."""
    try:
        given = read_yaml(file)
    except (ValueError, yaml.YAMLError):
        given = None
    if not isinstance(given, dict):
        return "", frozenset()
    parts = [part for part in given.get("parts") or [] if isinstance(part, dict)]
    named = frozenset(part["study"] for part in parts if isinstance(part.get("study"), str))
    return " ".join(str(given.get("question", "")).split()), named


def command(claim: str) -> str:
    """What prints a claim again."""
    return f"python scripts/claims.py {claim}"


def counts(found: list[Line]) -> dict[str, int]:
    """Verdict -> number of claims."""
    return {name: count for name in ORDER if (count := sum(line.verdict == name for line in found))}


def _part(decision: Decision) -> Part:
    part = decision.part
    says = f"{part.says} " if part.says else ""
    if isinstance(part, schema.Exact):
        counted = (
            [finding.holds for finding in decision.outcome.findings if not finding.remark] if decision.outcome else []
        )
        effect = f"{sum(counted)} of {len(counted)} findings hold"
        return Part(decision.verdict, f"{says}Exact check {part.check}.", effect, "exact", NOTHING)
    region = f"{says}The claim predicts {pages.region(part.region, part.unit)}."
    summary = decision.effect.summary if decision.effect else None
    if summary is None:
        return Part(decision.verdict, region, NOTHING, NOTHING, "0")
    effect = f"{pages.signed(summary.mean)} {part.unit.split(' (')[0]} ({pages.terms(part)})"
    return Part(decision.verdict, region, effect, pages.interval(summary.low, summary.high), str(summary.n))
