"""Verdicts to Markdown: one row a claim, and a page for each. The same results give the same bytes."""

from dataclasses import dataclass
from pathlib import Path

from ablations.claims.effects import Effect, words
from ablations.claims.schema import Claim, Measured, Region, Trained
from ablations.claims.verdict import Decision, Verdict
from ablations.exact.findings import Outcome

NOTHING = "—"
RULE = (
    "The rule was fixed before the runs and is the same for all claims. An effect supports its part of the claim if "
    "its whole 95 % interval lies where the claim predicts, refutes it if the interval lies wholly elsewhere, and "
    "leaves it undecided otherwise; the unit is the seed, and pairs share it. An exact check supports if all its "
    "findings hold, refutes if none does, and shows the claim partly true if some do. A claim is supported or refuted "
    "if all its parts are, partly true if a part is or if some are supported and some refuted, whatever is missing, "
    "and undecided otherwise. Without a run of every seed that the study plans nothing is decided."
)


@dataclass(frozen=True)
class Entry:
    """A claim as the list shows it: with its verdict, or with the reason why it was refused."""

    id: str
    verdict: Verdict | None
    refusal: str = ""
    pictures: tuple[str, ...] = ()  # paths below the results folder


def overview(entries: list[Entry]) -> str:
    """The text of `results/claims.md`."""
    counts: dict[str, int] = {}
    for entry in entries:
        verdict = entry.verdict.verdict if entry.verdict else "refused"
        counts[verdict] = counts.get(verdict, 0) + 1
    header = ["claim", "statement", "verdict", "effect", "95 % interval", "n", "command", "picture"]
    return "\n".join(
        [
            "# The claims, and what became of them",
            "",
            "What the notes (N0 to N4) and some papers say about the projections of attention, each put to the test. "
            f"{', '.join(f'{n} {verdict}' for verdict, n in sorted(counts.items()))}.",
            "",
            RULE,
            "",
            *_table(header, [_row(entry) for entry in entries]),
            "",
            "Written by `make claims` from the records, the measurements and the exact checks; not edited by hand.",
            "",
        ]
    )


def page(verdict: Verdict, pictures: tuple[str, ...] = ()) -> str:
    """The text of `results/claims/<id>.md`."""
    claim = verdict.claim
    lines = [
        f"# {claim.id}. {claim.question}",
        "",
        " ".join([f"**{verdict.verdict.capitalize()}.**", *(f"{why[0].upper()}{why[1:]}." for why in verdict.missing)]),
        "",
        "## What is claimed",
        "",
        f"> {claim.statement}",
        "",
        f"({claim.note}.) What we expected beforehand: {claim.prediction}",
        "",
        "## How it was tested",
        "",
        claim.tested,
        "",
        "## Rule",
        "",
        RULE,
        "",
        f"The parts of this claim, rule {claim.rule}:" if claim.parts else "No part is written yet.",
        "",
        *[f"{number}. {_about(decision)}" for number, decision in enumerate(verdict.decisions, 1)],
    ]
    for number, decision in enumerate(verdict.decisions, 1):
        lines += ["", f"## Result of part {number}: {decision.verdict}", "", *_result(decision)]
    if verdict.illustration:
        lines += ["", "## An example", "", *_findings(verdict.illustration)]
    for picture in pictures:
        lines += ["", f"![{claim.question}](../{picture})"]
    lines += ["", "## What would change our mind", "", claim.change, "", "## Again", "", "```sh"]
    lines += [*commands(claim), "```", ""]
    return "\n".join(lines)


def commands(claim: Claim) -> list[str]:
    """What makes the evidence and then this page."""
    needed = [part.command for part in claim.parts if isinstance(part, Trained | Measured)]
    return [*dict.fromkeys(needed), f"python scripts/claims.py {claim.id}"]


def _row(entry: Entry) -> list[str]:
    link = f"[{entry.id}](claims/{entry.id}.md)"
    if entry.verdict is None:
        return [entry.id, entry.refusal, "**refused**", *[NOTHING] * 5]
    claim, effects, intervals, ns = entry.verdict.claim, [], [], []
    for decision in entry.verdict.decisions:
        if decision.outcome is not None:
            counted = [finding.holds for finding in decision.outcome.findings if not finding.remark]
            effects.append(f"exact: {sum(counted)} of {len(counted)} hold")
            intervals.append("exact")
            ns.append(NOTHING)
        elif decision.effect is not None and decision.effect.summary is not None:
            assert isinstance(decision.part, Trained | Measured)
            summary = decision.effect.summary
            effects.append(f"{signed(summary.mean)} {decision.part.unit.split(' (')[0]} ({terms(decision.part)})")
            intervals.append(interval(summary.low, summary.high))
            ns.append(str(summary.n))
        else:
            effects.append(NOTHING)
            intervals.append(NOTHING)
            ns.append("0")
    command = "`" + commands(claim)[0] + "`" if claim.parts else NOTHING
    pictures = " ".join(f"[picture]({picture})" for picture in entry.pictures) or NOTHING
    cells = ["<br>".join(column) or NOTHING for column in (effects, intervals, ns)]  # a line for each part
    why = f" ({'; '.join(entry.verdict.missing)})" if entry.verdict.missing else ""
    return [link, f"{claim.statement} ({claim.note})", f"**{entry.verdict.verdict}**{why}", *cells, command, pictures]


def _about(decision: Decision) -> str:
    part = decision.part
    says = f"{part.says} " if part.says else ""
    if isinstance(part, Trained):
        split = f" on {part.split}" if part.split else ""
        return (
            f"{says}Effect: {part.metric}{split} of {terms(part)}, paired by seed, in study `{part.study.name}`. "
            f"The claim predicts {region(part.region, part.unit)}; margin {_number(part.margin)} {part.unit}."
        )
    if isinstance(part, Measured):
        what = "natural logarithm of the timings" if part.log else "timings"
        return (
            f"{says}Effect: {what} of {terms(part)}, paired sample by sample. "
            f"The claim predicts {region(part.region, part.unit)}; margin {_number(part.margin)} {part.unit}."
        )
    return f"{says}Exact check `{part.check}`: calculated in float64 on random weights, seeded."


def terms(part: Trained | Measured) -> str:
    """Such as "[k_is_v] − [separate]"."""
    signs = ["+" if weight > 0 else "−" for weight, _ in part.terms]
    return " ".join(f"{sign} [{name}]" for sign, name in zip(signs, _names(part), strict=True)).removeprefix("+ ")


def _names(part: Trained | Measured) -> list[str]:
    """What each term is about, with its metric where that is not the part's."""
    if isinstance(part, Measured):
        return [label for _, label in part.terms]
    own = ["" if metric == part.metric else f": {metric}" for metric in part.metrics]
    return [words(where) + metric for (_, where), metric in zip(part.terms, own, strict=True)]


def _result(decision: Decision) -> list[str]:
    if decision.effect is not None:
        return _effect(decision, decision.effect)
    assert decision.outcome is not None
    return _findings(decision.outcome)


def _findings(outcome: Outcome) -> list[str]:
    counted = [finding for finding in outcome.findings if not finding.remark]
    remarks = [finding for finding in outcome.findings if finding.remark]
    lines = []
    if counted:
        lines += [*_table(["what the claim says, or implies", "holds", "numbers"], [_finding(f) for f in counted]), ""]
    if remarks:
        lines += ["Beside the claim (not counted for the verdict):", ""]
        lines += _table(["what we find", "holds", "numbers"], [_finding(f) for f in remarks])
    for table in outcome.tables:
        rows = [[str(cell) for cell in row] for row in table.rows]
        lines += ["", table.title + ":", "", *_table(list(table.header), rows)]
    return lines


def _effect(decision: Decision, effect: Effect) -> list[str]:
    part = decision.part
    assert isinstance(part, Trained | Measured)
    rows = [
        [f"{w:+d}", name, str(count), _number(mean)]
        for (w, _), name, count, mean in zip(part.terms, _names(part), effect.counts, effect.means, strict=True)
    ]
    lines = _table(["weight", "setting", "runs" if isinstance(part, Trained) else "samples", "mean"], rows)
    if effect.summary is None:
        lines += ["", f"No effect yet: {decision.missing}."]
    else:
        summary = effect.summary
        lines += ["", f"Effect: **{signed(summary.mean)} {part.unit}**, 95 % interval "]
        lines[-1] += f"{interval(summary.low, summary.high)}, n = {summary.n}."
        lines[-1] += f" The claim predicts {region(part.region, part.unit)}."
        if isinstance(part, Trained):
            pairs = ", ".join(f"{signed(effect.pairs[seed])} (seed {seed})" for seed in sorted(effect.pairs))
            lines += ["", f"Seed by seed: {pairs}."]
        if decision.missing:
            lines += ["", f"Undecided: {decision.missing}."]
    if effect.left_out:
        lines += ["", "Left out:", "", *(f"- {sentence}" for sentence in effect.left_out)]
    return lines


def _finding(finding) -> list[str]:
    numbers = "; ".join(f"{name}: {number}" for name, number in finding.numbers.items()) or NOTHING
    return [finding.sentence, "yes" if finding.holds else "**no**", numbers]


def region(region: Region, unit: str) -> str:
    """Such as "an effect above 0.5 BLEU"."""
    above, below = (None if x is None else _number(x) for x in (region.above, region.below))
    if above is not None and below is not None:
        return f"an effect between {above} and {below} {unit}"
    return f"an effect above {above} {unit}" if above is not None else f"an effect below {below} {unit}"


def interval(low: float | None, high: float | None) -> str:
    """Such as "-0.3 to +0.1"."""
    return NOTHING if low is None or high is None else f"{signed(low)} to {signed(high)}"


def _number(value: float | None) -> str:
    """Four significant digits, the same on every machine that has the same records."""
    return NOTHING if value is None else f"{value:.4g}".replace("-", "−") if value else "0"


def signed(value: float) -> str:
    """Such as "+0.1"."""
    return ("+" if value > 0 else "") + _number(value)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in [header, ["---"] * len(header), *rows]
    ]


def picture_files(results: Path, claim: Claim) -> tuple[str, ...]:
    """The pictures of a claim that exist, paths below the results folder: drawn by its check, or named in its file."""
    drawn = sorted(path.relative_to(results).as_posix() for path in (results / "claims").glob(f"{claim.id}*.svg"))
    named = [claim.picture] if claim.picture and (results / claim.picture).is_file() else []
    return tuple([*drawn, *named])
