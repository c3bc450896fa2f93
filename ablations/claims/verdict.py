"""From findings and effects to a verdict, by one rule for all claims.

A part with an effect is supported if the whole 95 % interval lies in the predicted region, refuted if it lies wholly
outside, else undecided; fewer than two pairs give no interval and decide nothing. An exact part is supported if all its
findings hold, refuted if none does, else partly. A claim is supported if all parts are, refuted if all are, partly if
some are and some are not, undecided in all other cases: what is missing is never guessed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ablations.claims import effects
from ablations.claims.effects import Effect
from ablations.claims.schema import Claim, Exact, Measured, Part
from ablations.exact.findings import Outcome, carry_out


@dataclass(frozen=True)
class Decision:
    """Of one part."""

    part: Part
    verdict: str
    outcome: Outcome | None = None  # of an exact part
    effect: Effect | None = None  # of another
    missing: str = ""  # what to do to have it decided


@dataclass(frozen=True)
class Verdict:
    """Of a claim. `missing` says, if it is undecided, what would decide it."""

    claim: Claim
    verdict: str
    decisions: list[Decision]
    missing: list[str]
    illustration: Outcome | None = None  # shown, and not counted


def decide(claim: Claim, results: Path) -> Verdict:
    """The verdict on a claim from what lies in the results folder. Raises ValueError where the claim is refused."""
    decisions = [_part(part, claim, results) for part in claim.parts]
    missing = list(dict.fromkeys(decision.missing for decision in decisions if decision.missing))
    if not claim.parts:
        missing.append("no part is written yet")
    shown = carry_out(claim.illustration) if claim.illustration else None
    return Verdict(claim, combine(decision.verdict for decision in decisions), decisions, missing, shown)


def combine(verdicts: Iterable[str]) -> str:
    """The verdict on a claim from those on its parts."""
    found = set(verdicts)
    if len(found) == 1:
        return found.pop()
    return "partly" if "partly" in found or {"supported", "refuted"} <= found else "undecided"


def of_findings(outcome: Outcome) -> str:
    """The verdict of an exact check; remarks do not count."""
    held = {finding.holds for finding in outcome.findings if not finding.remark}
    return "undecided" if not held else "partly" if len(held) == 2 else "supported" if True in held else "refuted"


def _part(part: Part, claim: Claim, results: Path) -> Decision:
    if isinstance(part, Exact):
        outcome = carry_out(part.check)
        return Decision(part, of_findings(outcome), outcome=outcome)
    if isinstance(part, Measured):
        effect = effects.of_samples(part, claim.id, results)
    else:
        effect = effects.of_runs(part, claim.id, claim.rule, results)
    summary = effect.summary
    if summary is None:
        return Decision(part, "undecided", effect=effect, missing=f"missing: `{part.command}`")
    if effect.unmade:
        seeds = ", ".join(map(str, effect.unmade))
        return Decision(part, "undecided", effect=effect, missing=f"runs of seed {seeds} are missing: `{part.command}`")
    if summary.low is None or summary.high is None:
        return Decision(
            part, "undecided", effect=effect, missing=f"one pair decides nothing, more seeds: `{part.command}`"
        )
    return Decision(part, part.region.verdict(summary.low, summary.high), effect=effect)
