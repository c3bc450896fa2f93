"""The claims that lean on a study, with the verdicts that stand on their pages."""

import re
from dataclasses import dataclass
from pathlib import Path

from ablations.claims import schema
from ablations.files import CONF
from ablations.report.claims import outline

VERDICT = re.compile(r"# .*\n\n\*\*([A-Za-z ]+)\.\*\*")


@dataclass(frozen=True)
class Claim:
    """A claim; without a verdict it has no page yet."""

    id: str
    question: str
    verdict: str
    studies: frozenset[str]


def claims(results: Path, conf: Path = CONF) -> list[Claim]:
    """All claims. To decide them takes longer than all pages: verdicts are read off what `make claims` has written."""
    found = []
    for file in schema.files(conf):
        question, studies = outline(file)
        found.append(Claim(file.stem, question, verdict(results / "claims" / f"{file.stem}.md"), studies))
    return found


def verdict(page: Path) -> str:
    """As the page of a claim begins; empty where there is none."""
    found = VERDICT.match(page.read_text(encoding="utf-8")) if page.is_file() else None
    return found[1].lower() if found else ""
