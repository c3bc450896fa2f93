"""Who imports whom, and who may know what: the rules of the design, read off the sources."""

import ast
from pathlib import Path

import pytest

from ablations.compose import CONF

ROOT = CONF.parent
ROOMS = ("models", "data", "ablations")
SOURCES = [
    *(path for room in (*ROOMS, "scripts", "hydra_plugins") for path in sorted((ROOT / room).rglob("*.py"))),
    *sorted(ROOT.glob("*.py")),
]
STRATEGIES = {path.stem for path in (CONF / "projection").glob("*.yaml")}


def where(path):
    return path.relative_to(ROOT).as_posix()


def imported(tree):
    """The modules that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def on_loading(path):
    """What a file imports when it is imported itself: nothing inside functions."""

    class TopLevel(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return None

        def visit_If(self, node):
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else node

    return set(imported(TopLevel().visit(ast.parse(path.read_text()))))


def loaded_by(path):
    """Every module that importing `path` loads, our own followed to the end; packages load their `__init__`."""
    seen, waiting = set(), [path]
    while waiting:
        for module in on_loading(waiting.pop()) - seen:
            seen.add(module)
            parts = module.split(".")
            for i in range(1, len(parts) + 1):
                stem = ROOT.joinpath(*parts[:i])
                waiting += [file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.exists()]
    return seen


def roots(modules):
    return {module.split(".")[0] for module in modules}


def test_there_is_something_to_look_at():
    assert {"train.py", "ablations/config.py", "models/projections/projection.py"} <= set(map(where, SOURCES))


@pytest.mark.parametrize("room", ["models", "data"])
def test_models_and_data_know_neither_each_other_nor_ablations(room):
    for path in (ROOT / room).rglob("*.py"):
        known = roots(imported(ast.parse(path.read_text())))
        assert not known & (set(ROOMS) - {room}), where(path)


def test_projections_know_torch_and_themselves_only():
    for path in (ROOT / "models" / "projections").rglob("*.py"):
        ours = {m for m in imported(ast.parse(path.read_text())) if m.split(".")[0] in ROOMS}
        assert all(m.startswith("models.projections") for m in ours), where(path)


def test_hydra_is_known_in_few_places():
    knowing = {where(p) for p in SOURCES if "hydra" in roots(imported(ast.parse(p.read_text())))}
    assert knowing == {"train.py", "ablations/compose.py", "ablations/sentences.py", "hydra_plugins/cells.py"}


@pytest.mark.parametrize(
    "file",
    ["train.py", "evaluate.py", "ablations/config.py", "ablations/compose.py", "ablations/errors.py"]
    + ["hydra_plugins/cells.py", "scripts/status.py"]
    + [
        "ablations/record/__init__.py",
        "ablations/stats/__init__.py",
        "ablations/tables/__init__.py",
        "ablations/comparisons/__init__.py",
    ],
)
def test_refusals_and_tables_do_not_wait_for_heavy_packages(file):
    """`python train.py --help` answers in a third of a second because torch (1.5 s) comes with the work, not before."""
    heavy = {"torch", "datasets", "wandb", "sentencepiece", "sacrebleu", "scipy"}
    assert not roots(loaded_by(ROOT / file)) & heavy


def test_a_prepared_run_loads_neither_datasets_nor_wandb():
    loaded = roots(loaded_by(ROOT / "ablations" / "run.py"))
    assert "torch" in loaded, "the walk follows imports"
    assert not loaded & {"datasets", "wandb"}


def test_nothing_outside_projections_names_a_strategy_or_asks_which_it_has():
    """A new strategy is one YAML file: code that knew names or ties would need to learn of it."""
    fields = {"tie", "role_scale", "role_rank", "kv_heads"}
    for path in SOURCES:
        room = where(path).split("/")[0]
        # SentencePiece has an `identity` too, and no corpus knows of strategies.
        if where(path).startswith("models/projections/") or room == "data":
            continue
        # What others are compared with unless a study says otherwise.
        names = STRATEGIES - {"separate"} if room == "ablations" else STRATEGIES
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
            asked = isinstance(node, ast.Attribute) and node.attr in fields
            assert not named and not asked, f"{where(path)}:{node.lineno} {ast.unparse(node)}"


def test_no_path_of_a_machine_is_in_the_code():
    for path in [*SOURCES, *CONF.rglob("*.yaml"), *Path(ROOT / "tests").rglob("*.py")]:
        assert not any(f"/{top}/" in path.read_text() for top in ("home", "work/main", "root", "Users")), where(path)
