"""A workspace made from code: the same for everyone, its keys those that runs are logged under, nothing sent."""

import importlib.util
import json
import subprocess
import sys

import pytest

from ablations import tables
from ablations.compose import CONF
from ablations.track import workspace
from ablations.track.outcome import numbers, observed, public
from tests.ablations.make import make_record

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("wandb_workspaces") is None,
        reason="wandb-workspaces is not installed: pip install -r requirements-dashboard.txt",
    ),
    pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning"),  # the package's own
]
SECTIONS = ["Strategies", "Single runs", "Sites", "Cost against quality", "Translations and attention"]


def runs(**fields):
    return [make_record(name, "flickr", seed, **fields) for name in ("separate", "shared") for seed in (0, 1)]


def spec(found, study="demo"):
    return workspace.serialised(workspace.workspace(study, found, "team", "project"))["spec"]["section"]


def panels(section):
    return {part["name"]: part["panels"] for part in section["panelBankConfig"]["sections"]}


def key(path):
    """Where a config holds what W&B groups by: it puts `value` after the first name."""
    first, _, rest = path.replace(".value", "", 1).partition(".")
    return [first, *rest.split(".")] if rest else [first]


def test_the_sections_are_there_and_every_panel_has_something_to_show():
    section = spec(runs(analysis={"parts": ["scores", "maps"]}))
    assert list(panels(section)) == SECTIONS and all(panels(section).values())
    assert section["runSets"][0]["filters"]["filters"][0]["value"] == "demo"


def test_seeds_are_one_group_with_a_band():
    section = spec(runs())
    assert [group["name"] for group in section["runSets"][0]["grouping"]] == ["strategy.value"]
    lines = [p["config"] for p in panels(section)["Strategies"] if p["viewType"] == "Run History Line Plot"]
    assert {line["metrics"][0] for line in lines} == {"loss", "valid_nll"}
    assert {(line["groupAgg"], line["groupArea"]) for line in lines} == {("mean", "minmax")}


def test_each_panel_asks_for_what_runs_are_logged_with():
    """A key that is misspelt gives an empty panel and no error anywhere."""
    analyses = [{"step": 0, "scores": {f"{stack}.{layer}.{name}": {"normalised_entropy": [1.0], "own_position": [1.0]}
                 for stack, name in (("encoder", "self"), ("decoder", "self"), ("decoder", "cross"))
                 for layer in (0, 1)}}]  # fmt: skip
    found = runs(analysis={"parts": ["scores", "maps"]})
    for run in found:
        run["budget"] |= {"flops_per_token": 7}
    logged = {f"summary:{name}" for name in numbers(found[0])}
    seen = {f"observed/{name}" for at in observed({"analyses": analyses}).values() for name in at}
    shown = public(found[0])
    asked = {"bars": 0, "lines": 0, "points": 0}
    for panel in (panel for part in panels(spec(found)).values() for panel in part):
        config = panel.get("config", {})
        if panel["viewType"] == "Bar Chart":
            assert config["metrics"][0].replace("summary_metrics.", "summary:") in logged
            value = shown
            for name in key(config["groupBy"]):
                value = value[name]
            asked["bars"] += value == "separate"
        elif panel["viewType"] == "Scatter Plot":
            assert {config["xAxis"], config["yAxis"]} <= logged
            asked["points"] += 1
        elif config.get("xAxis") == "observed/step":
            assert set(config["metrics"]) <= seen
            asked["lines"] += 1
    columns = len(tables.headline_columns(found))
    assert asked == {"bars": columns * (1 + 3), "points": columns * 4, "lines": 6}


def test_whatever_else_a_study_sweeps_separates_the_groups():
    swept = [*runs(), *runs(optim__lr=0.01, sites__cross={**make_record()["config"]["sites"]["cross"], "kv_heads": 2})]
    for run in swept:
        run["signature"] += f"{run['config']['optim']['lr']}"
    keys = workspace.grouping(swept)
    assert keys[0] == "strategy" and {"optim.lr", "sites.cross.kv_heads"} <= set(keys)
    two_tasks = [make_record(task="docs"), make_record(task="opinions")]
    assert workspace.grouping(two_tasks) == ["task.name", "strategy"]


def test_the_command_writes_what_a_study_plans_before_any_run_and_without_network(tmp_path):
    file = tmp_path / "workspace.json"
    command = [sys.executable, "scripts/dashboard.py", "--study", "demo", "--json", str(file)]
    answer = subprocess.run([*command, "--results", str(tmp_path)], cwd=CONF.parent, capture_output=True, text=True)
    assert answer.returncode == 0 and not answer.stderr, answer.stderr
    made = json.loads(file.read_text())
    assert made["displayName"] == "Study demo" and made["project"] == "qkv-ablations"
    section = made["spec"]["section"]
    assert list(panels(section)) == SECTIONS
    assert [group["name"] for group in section["runSets"][0]["grouping"]] == ["task.value.name", "strategy.value"]


def test_a_study_that_nobody_planned_is_refused(tmp_path):
    with pytest.raises(ValueError, match="study='sharng' .* did you mean 'sharing'"):
        workspace.planned("sharng", str(tmp_path))


@pytest.mark.parametrize(("entity", "sentence"), [("", "as in --entity my-team"), ("team", "not saved .no API key")])
def test_nothing_is_saved_without_a_team_or_a_key(entity, sentence):
    with pytest.raises(ValueError, match=sentence):
        workspace.save(workspace.workspace("demo", runs(), entity, "project"))
