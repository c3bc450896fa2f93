"""The page of a study: question, expectation, findings, tables, figures, claims, and how to repeat it."""

import re
from typing import Any

from ablations.pages.claims import Claim
from ablations.pages.pictures import Picture
from ablations.report.findings import NO_PAIR, NOT_TESTED, Finding
from ablations.report.parts import Record, Study
from ablations.report.provenance import commits, several
from ablations.report.studies import NO_MARGIN, Section
from ablations.tables import SCORES
from ablations.writers.as_markdown import escape, grid_lines
from ablations.writers.grid import NOTHING, Grid, listed, plural

SENTENCES = 6  # more findings than these stand in a table
COMMANDS = 8  # of a study that no file plans
MARK = "<!-- Made by `python scripts/pages.py --study "  # how a page begins: what does not is not ours to remove
FORMATS = {"md": "Markdown", "csv": "CSV", "tex": "LaTeX"}


def page(
    study: Study,
    section: Section,
    found: list[Finding],
    *,
    pictures: list[Picture],
    claims: list[Claim],
    links: list[str],
) -> str:
    """The text of `<results>/studies/<study>.md`. `links`: paths below the results folder that are there."""
    about = section.about
    lines = [
        f"{MARK}{study.name}` from records alone; do not edit. -->",
        f"# {escape(about.get('question') or study.name)}",
        "",
        escape(facts(study, section)),
        "",
        " · ".join(_ways(study, section)),
        "",
    ]
    if section.missing:
        lines += [f"**{escape(section.missing).replace(':', ':**', 1)}", ""]
    if about.get("prediction"):
        lines += [f"**Expected:** {escape(about['prediction'])}", ""]
    lines += [f"**Costs little:** {escape(costs_little(about['margin']))}", ""]
    lines += ["## Found", "", *_findings(study, section, found)]
    lines += _tables(study, section, links)
    lines += _figures(pictures)
    lines += _claims(claims)
    if section.change:
        change = f"{section.change} {_afterwards(study, section)}".rstrip()
        lines += ["## What would change our mind", "", escape(change), ""]
    lines += [*_again(study, section), *_cost(study, section)]
    return "\n".join(lines).rstrip("\n") + "\n"


def facts(study: Study, section: Section) -> str:
    """Which runs there are, in a line."""
    runs = study.runs
    strategies = {name for run in runs for name in run["sites"].values()}
    said = [
        _several("strategy", "strategies", sorted(strategies, key=lambda name: (name != study.baseline, name))),
        _several("seed", "seeds", sorted({run["seed"] for run in runs})),
        _several("task", "tasks", sorted({run["task"] for run in runs})),
        _several("model", "models", sorted({run["config"]["model"]["name"] for run in runs})),
        _several(
            "steps", "steps", [f"{steps:,}" for steps in sorted({run["config"]["trainer"]["steps"] for run in runs})]
        ),
    ]
    if taken := sum(not _asked_by(run, study.name) for run in runs):
        said.append(f"{taken} taken over from other studies, whose words were theirs")
    return f"Study {study.name}, {section.counts}; {'; '.join(said)}."


def _asked_by(run: Record, study: str) -> bool:
    """Whether its own command names the study; of a run whose command is not on record, yes."""
    asked = [word for word in run.get("overrides") or [] if word.startswith(("study=", "study.name="))]
    return not asked or asked[-1].partition("=")[2] == study


def _ways(study: Study, section: Section) -> list[str]:
    """To what the page is made of, and back."""
    plan = [f"[its file](../../conf/study/{study.name}.yaml)"] if section.train else []
    return [f"[records](../records/{study.name}/)", *plan, "[all studies](README.md)"]


def _afterwards(study: Study, section: Section) -> str:
    """How many runs were there before the words were."""
    said = [" ".join(str(run["config"]["study"].get("change") or "").split()) for run in study.runs]
    late = sum(words != section.change for words in said)
    which = "the runs" if late == len(said) else f"{late} of the {len(said)} runs"
    return f"(Written after {which}.)" if late else ""


def costs_little(margin: str) -> str:
    """What the study calls small, as a sentence."""
    parts = re.findall(r"(.+?) (\(So \d+ of \d+ runs\.\))\s*", margin) or [(margin, "")]
    said = [
        "no margin was fixed."
        if text == NO_MARGIN
        # a size, or the reason why there is none
        else f"{'within' if text[:1].isdigit() else 'no margin:'} {text.rstrip('.')}."
        for text, _ in parts
    ]
    return " ".join(f"{text} {runs}".rstrip() for text, (_, runs) in zip(said, parts, strict=True))


def _several(one: str, many: str, values: list[Any]) -> str:
    return f"{one if len(values) == 1 else many} {listed(list(map(str, values)))}"


def _findings(study: Study, section: Section, found: list[Finding]) -> list[str]:
    """Every comparison with its verdict, as sentences or as a table, and what was not tested."""
    if section.refusal:
        return [f"No table: {escape(section.refusal)}", ""]
    if not found:
        return [escape(_nothing(study)), ""]
    if len(found) > SENTENCES:
        lines = grid_lines(_grid(found), level="")
    else:
        lines = [f"- {escape(finding.sentence)}" for finding in found]
    compared = [finding for finding in found if finding.difference]
    alone = [str(finding.setting) for finding in compared if finding.verdict == NOT_TESTED]
    if alone:
        lines += ["", escape(f"Not tested, since one seed has no interval: {listed(list(dict.fromkeys(alone)))}.")]
    tested = sum(finding.verdict not in (NOT_TESTED, NO_PAIR) for finding in compared)
    if tested > 1:
        lines += [
            "",
            f"An interval is of its difference alone; the verdicts are after Holm over these {tested} comparisons, and "
            "of other seeds, not of other sentences.",
        ]
    without = {SCORES[finding.column.score][0]: None for finding in compared if finding.margin is None}
    if without:
        lines += [
            "",
            f"No margin is fixed for {listed(list(without))}: by it nothing can come out equivalent or not worse.",
        ]
    return [*lines, ""]


def _nothing(study: Study) -> str:
    if not any(run["status"] == "finished" for run in study.runs):
        return "No verdict: no run came to its end."
    if all(row.baseline for row in study.table):
        return (
            f"No verdict: every setting is one of the baseline {study.baseline}, and settings of the baseline are not "
            "compared with one another. Their scores stand below; claims may compare them."
        )
    return f"No verdict: no setting has one of the baseline {study.baseline} to be compared with."


def _grid(found: list[Finding]) -> Grid:
    header = ["setting", "instead of", "score", "difference", "95 % interval", "seeds", "verdict"]
    body = [
        [
            finding.setting,
            finding.against,
            finding.column.title,
            (finding.difference or NOTHING) + (f" ({finding.percent})" if finding.percent else ""),
            finding.interval or NOTHING,
            str(finding.pairs) + (f" ({finding.lost})" if finding.lost else ""),
            finding.verdict,
        ]
        for finding in found
    ]
    same = [at for at in (1, 2) if len({line[at] for line in body}) == 1]  # said once
    words = [f"{'instead of' if at == 1 else 'on'} {body[0][at]}" for at in same]
    kept = [at for at in range(len(header)) if at not in same]
    note = [f"All {' '.join(words)}."] if words else []
    return Grid("", [header[at] for at in kept], [[line[at] for at in kept] for line in body], note)


def _tables(study: Study, section: Section, links: list[str]) -> list[str]:
    lines = []
    for grid in section.grids:
        if not grid.detail:
            lines += [*grid_lines(grid, level="### "), ""]
    there = [(FORMATS[form], f"tables/{study.name}.{form}") for form in FORMATS]
    linked = [f"[{name}](../{path})" for name, path in there if path in links]
    if linked:
        lines += [f"All tables, with every test, power, costs and scores of every split: {', '.join(linked)}.", ""]
    comparisons = f"comparisons/{study.name}.md"
    if comparisons in links:
        lines += [f"Would other sentences say the same, too? [Over seeds and sentences](../{comparisons}).", ""]
    return ["## Tables", "", *lines] if lines else []


def _figures(pictures: list[Picture]) -> list[str]:
    lines = []
    for picture in pictures:
        if picture.shown:
            lines += [f"![{_inside(f'{picture.title}. {picture.says}')}]({picture.link})", ""]
    others = [f"[{_inside(picture.title)}]({picture.link})" for picture in pictures if not picture.shown]
    if others:
        lines += [f"Also drawn: {', '.join(others)}.", ""]
    return ["## Figures", "", *lines] if lines else []


def _inside(text: str) -> str:
    """Of the brackets of a link, which others would end."""
    return escape(text.replace("[", "(").replace("]", ")"))


def _claims(claims: list[Claim]) -> list[str]:
    if not claims:
        return []
    lines = ["## Claims that lean on it", "", "Each verdict is that of the claim's page, over all its parts.", ""]
    for claim in claims:
        name = (
            f"[{claim.id}](../claims/{claim.id}.md) **{claim.verdict}**"
            if claim.verdict
            else f"{claim.id} (no page yet)"
        )
        lines.append(f"- {name}: {escape(claim.question)}")
    return [*lines, ""]


def _again(study: Study, section: Section) -> list[str]:
    """The commands, those that look at the runs last."""
    own = list(dict.fromkeys(" ".join(run["command"].split()) for run in study.runs if run.get("command")))
    lines = ["## How to repeat it", ""]
    if not section.train:
        more = f", of which {COMMANDS} stand here, the others in their records" if len(own) > COMMANDS else ""
        lines += [
            f"No file in conf/study plans this study. Its runs were made by {plural(len(own), 'command')}{more}.",
            "",
        ]
    looks = [f"python scripts/{name}.py --study {study.name}" for name in ("tables", "figures", "pages")]
    lines += ["```sh", *(section.train or own[:COMMANDS]), *looks, "```", ""]
    return [*lines, "Runs that are on record are not trained again: `rerun=true` does it all the same.", ""]


def _cost(study: Study, section: Section) -> list[str]:
    versions = [f"{name} {several(study.runs, 'versions', name)}" for name in ("torch", "python")]
    found = [(re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", name), count) for name, count in commits(study.runs)]
    made = [f"{escape(name)} ({plural(count, 'run')})" for name, count in found]
    return [
        f"**Cost:** {escape(section.took)}, by the clock, whatever else the machine did. "
        f"Machine: {escape('; '.join(section.machines))}.",
        "",
        f"**Made by:** {escape(', '.join(versions))}; commit {', '.join(made)}.",
        "",
    ]
