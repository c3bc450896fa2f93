"""The README's tables say what the repository holds: no choice without a row, no cost or count that is not so."""

import re
from fnmatch import fnmatch
from functools import cache

import pytest
import yaml

from ablations import record
from ablations.claims import schema
from ablations.compose import CONF, compose_cells, to_plain
from ablations.report.answer import HEADLINE
from ablations.writers import headline
from models.projections.config import ProjectionConfig
from models.projections.cost import cost

README = (CONF.parent / "README.md").read_text(encoding="utf-8")
D, H = 128, 4  # the sizes at which the formulas are tried


def rows(header):
    """The cells of the table with this header."""
    _, _, rest = README.partition(f"| {header} |\n")
    assert rest, f"the README has no table | {header} |"
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def number(formula, **symbols):
    """What a formula such as "d² + 2 d g d_h" comes to."""
    total = 0
    for term in formula.split("+"):
        factors = re.findall(r"d_h|d_v|[dgHR]|\d+|²", term)
        assert "".join(factors) == term.replace(" ", ""), formula
        product = 1
        for place, factor in enumerate(factors):
            name = factors[place - 1] if factor == "²" else factor
            product *= int(name) if name.isdigit() else symbols[name]
        total += product
    return total


def strategy(name):
    """The fields of a strategy's file over those it starts from: what Hydra composes, in no time."""
    own = yaml.safe_load((CONF / "projection" / f"{name}.yaml").read_text(encoding="utf-8"))
    parents = [parent for parent in own.pop("defaults", []) if parent != "_self_"]
    return {key: value for parent in parents for key, value in strategy(parent).items()} | own


STRATEGIES = rows("name | queries, keys, values | parameters | cache | source")
STUDIES = rows("study | question | task | runs | full | claims")


def test_a_formula_is_read_as_it_is_written():
    assert number("2d² + d H d_v", d=10, H=2, d_v=3) == 260
    assert number("3 d_h²", d=10, d_h=5) == 75 and number("0") == 0


@pytest.mark.parametrize("row", STRATEGIES, ids=lambda row: row[0].strip("`"))
def test_parameters_and_cache_of_a_strategy_are_those_it_states(row):
    projection = ProjectionConfig(**strategy(names(row[0])[0]))
    own = cost(projection, D, H, D // H, bias=False)
    heads = projection.heads or H
    symbols = {
        "d": D,
        "H": heads,
        "d_h": D // heads,
        "d_v": projection.value_head_dim,
        "g": projection.kv_heads,
        "R": projection.rank or projection.role_rank,
    }
    assert number(row[2], **symbols) == own.weights
    assert number(row[3], **symbols) == own.memory_width


@pytest.mark.parametrize(
    ("group", "table"),
    [
        ("projection", STRATEGIES),
        ("task", rows("name | what | size of training text | where from | licence")),
        ("model", rows("name | width, heads, layers | language model | translator |")),
        ("analysis", rows("name | observes")),
        ("study", STUDIES),
        ("cluster", rows("`cluster=` | runs")),
    ],
)
def test_every_choice_has_a_row(group, table):
    files = {path.stem for path in (CONF / group).glob("*.yaml") if not fnmatch(path.stem, "*_full")}
    assert {name for row in table for name in names(row[0])} == files


@pytest.mark.parametrize("row", STUDIES, ids=lambda row: row[0].strip("`"))
def test_task_runs_and_claims_of_a_study_are_those_of_its_files(row):
    study = names(row[0])[0]
    assert ",".join(names(row[2])) == task(study)
    runs = {size: cells(f"{study}{size}") for size in ("", "_full")}
    assert row[3] == str(runs[""]) and row[4] == str(runs["_full"] or "")
    asking = [claim.id for claim in claims() if study in {p.study.name for p in claim.parts if hasattr(p, "study")}]
    assert row[5].split() == asking


def test_the_first_table_is_the_one_that_the_records_make():
    """Line by line: nobody edits a number by hand, and none stays behind when records change."""
    runs = [run for study in HEADLINE for run in record.briefs(CONF.parent / "results", study)]
    made = [line for line in headline(runs).splitlines() if line.startswith("|")]
    first = README.partition("<!-- headline -->")[2].partition("<!-- /headline -->")[0]
    assert [line for line in first.splitlines() if line.startswith("|")] == made


@cache
def claims():
    """Read once, and not while tests are collected: a broken claim file is another test's business."""
    return [schema.load(file) for file in schema.files()]


def task(study):
    """The task that a study file chooses, or those it goes through."""
    content = written(study)
    chosen = [choice["override /task"] for choice in content["defaults"] if "override /task" in choice]
    return content["hydra"]["sweeper"]["params"].get("task") or chosen[0]


def cells(study):
    """How many runs a study file asks for, 0 if there is none."""
    if not (content := written(study)):
        return 0
    count, params = 1, content["hydra"]["sweeper"]["params"]
    more = content["study"].get("more", [])
    if more or "match" in params:  # what two sweeps or controls have in common is one run
        swept = [compose_cells([f"study={study}", *words.split()]) for words in ("", *more)]
        return len({record.signature(to_plain(run)) for cells in swept for _, run in cells})
    for values in params.values():
        count *= len(str(values).split(","))
    return count


def written(study):
    path = CONF / "study" / f"{study}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
