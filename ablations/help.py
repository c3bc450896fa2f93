"""What `python train.py --help` prints: the groups of `conf/`, each with a line saying what it is, and its files."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

WIDTH = 118
USAGE = """\
Train and score one variant of attention, or a whole study.

  python train.py projection=shared                       one run
  python train.py projection=shared task=toy_translation projection@sites.cross=separate
  python train.py -m projection=separate,shared seed=0,1  every combination
  python train.py study=demo                              the combinations written in conf/study/demo.yaml

Groups, as in model=small. Each name is a file in conf/, which begins with what to expect of it.
"""
SETTINGS = """
Single settings, as in model.d_model=256 trainer.steps=500 seed=1 study.name=mine paths.results=FOLDER.

  python train.py projection=shared --cfg job             all of them with their values, and nothing is run
  python train.py --hydra-help                            the flags of Hydra, which reads this command line
  eval "$(python train.py -sc install=bash)"              has bash complete groups, files and settings at the Tab key
"""


@dataclass(frozen=True)
class Group:
    """A folder of `conf/` from which a run takes one file."""

    name: str
    default: str  # "null": none
    says: str
    options: list[str]


def groups(conf: Path) -> list[Group]:
    """The groups in the order of the defaults list of `conf/config.yaml`, where a comment says what each is."""
    entry = re.compile(r"^  - (\w+): (\w+)(?: +# (.+))?$", re.MULTILINE)
    return [
        Group(name, default, says, sorted(path.stem for path in (conf / name).glob("*.yaml")))
        for name, default, says in entry.findall((conf / "config.yaml").read_text())
    ]


def help_text(conf: Path) -> str:
    """The whole page, 120 columns wide at most."""
    found = groups(conf)
    column = max(len(group.name) for group in found) + 4
    lines = []
    for group in found:
        default = "none unless you say so" if group.default == "null" else f"{group.default} unless you say so"
        lines.append(f"  {group.name:<{column - 2}}{group.says} ({default})")
        margin = " " * column
        # A name is never cut at its end, so that it can be copied.
        lines += textwrap.wrap(
            ", ".join(group.options), WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )
    return USAGE + "\n" + "\n".join(lines) + "\n" + SETTINGS
