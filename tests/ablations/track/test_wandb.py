"""W&B shows what the record says, of the right run, once, and never holds up training."""

import json
import socket
from pathlib import Path

import pytest

from ablations import tables
from ablations.config import TrackingConfig
from ablations.track import wandb_run
from ablations.track.outcome import numbers
from ablations.track.start import open_tracker
from ablations.track.tracker import FILE
from tests.ablations.cells import do
from tests.ablations.make import make_record
from tests.ablations.track.offline import in_wandb


def opened(folder, resume_step=0, name="wandb_offline", record=None):
    return open_tracker(TrackingConfig(name=name), record or make_record(), folder, resume_step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    """The record of a real run with analyses that was mirrored offline, its work folder, and what W&B has of it."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_DATA_DIR", "WANDB_SILENT", "WANDB_ERROR_REPORTING"):
            patch.setenv(name, "")
            patch.delenv(name)
        record = do(
            cache,
            results,
            "tracking=wandb_offline",
            "projection=shared",
            "projection@sites.cross=separate",
            "analysis.parts=[scores,maps]",
            "analysis.rows=3",
            "trainer.log_every=1",
            "study.name=mirrored",
        )
    folder = results / "work" / record["signature"]
    return record, folder, in_wandb(folder)


def test_the_offline_files_hold_the_numbers_of_the_record(finished):
    record, folder, seen = finished
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    mirrored = [row for row in seen.history if "loss" in row]
    assert [{name: row[name] for name in line} for row, line in zip(mirrored, lines, strict=True)] == lines
    curve = [{name: row[name] for name in line} for row, line in zip(mirrored, record["curve"], strict=True)]
    assert curve == record["curve"]
    assert [row["_step"] for row in seen.history if "loss" in row] == [line["step"] for line in record["curve"]]
    final = numbers(record)
    assert {name: seen.summary[name] for name in final} == final
    assert seen.summary["valid_nll"]["min"] == min(line["valid_nll"] for line in record["curve"] if "valid_nll" in line)
    assert seen.summary["loss"]["last"] == record["curve"][-1]["loss"]


def test_every_number_of_the_tables_is_in_the_summary(finished):
    record, _, _ = finished
    [row] = tables.rows([record])
    shown = {f"{column.split}/{column.score}": cell.summary.mean for column, cell in row.cells.items() if cell.summary}
    costs = {"parameters": row.parameters, "projection_d2": row.projection_d2}
    shown |= {f"cost/{name}": value[record["task"]] for name, value in costs.items()}
    shown["cost/cache_numbers_per_token"] = row.cache_numbers[record["task"]]
    assert len(shown) > 10
    assert {name: numbers(record)[name] for name in shown} == pytest.approx(shown)


def test_a_run_is_known_by_what_it_is(finished):
    record, _, seen = finished
    run = seen.run
    assert (run["run_id"], run["run_group"], run["job_type"]) == (record["signature"], "mirrored", "reverse")
    assert run["display_name"] == "reverse-shared-cross=separate-s0"
    assert set(run["tags"]) == {"shared, cross=separate", "encoder:shared", "decoder:shared", "cross:separate"}


def test_analyses_have_steps_of_their_own_and_pictures_and_samples_are_there(finished):
    record, folder, seen = finished
    observed = {row["observed/step"]: row for row in seen.history if "observed/step" in row}
    assert set(observed) == {analysis["step"] for analysis in record["analyses"]} == {0, 3}
    for analysis in record["analyses"]:
        for site, measured in analysis["scores"].items():
            mean = sum(measured["entropy"]) / len(measured["entropy"])
            assert observed[analysis["step"]][f"observed/{site}/entropy"] == pytest.approx(mean)
    axes = {e["metric"].get("name") or e["metric"]["glob_name"]: e["metric"] for e in seen.entries if "metric" in e}
    assert axes["observed/*"]["step_metric"] == "observed/step" and axes["valid_nll"]["step_metric"] == "step"
    pictures = {path.name.split("_")[0] for path in (seen.files / "media" / "images" / "attention").iterdir()}
    assert pictures == set(record["analyses"][-1]["maps"]["weights"])
    (table,) = (seen.files / "media" / "table").glob("*.json")
    stored = json.loads(table.read_text())
    assert [dict(zip(stored["columns"], row, strict=True)) for row in stored["data"]] == record["samples"]


def test_nothing_of_the_machine_is_told(finished):
    record, folder, seen = finished
    assert str(folder.parent.parent) in json.dumps(record["config"]), "there is something to leave out"
    told = json.dumps([entry for entry in seen.entries if "artifact" not in entry])  # a table waits in our folder
    for place in (folder.parent.parent, Path.home(), Path.cwd()):
        assert str(place) not in told
    assert f'"{socket.gethostname()}"' not in told
    assert {path.name for path in seen.files.iterdir()} == {"media"}, "no list of packages, no description of the host"
    assert any((folder.parent / "wandb" / "artifacts").rglob("*")), "tables wait beside the runs, not at home"


def steps(folder):
    return [row["step"] for row in in_wandb(folder).history]


def test_an_interrupted_run_has_one_folder_to_send_with_each_step_once(tmp_path):
    """The first attempt logs to 4 and dies; its checkpoint is of 2, so the second logs 3 and 4 again."""
    with opened(tmp_path) as tracked:
        for step in (1, 2, 3, 4):
            tracked.log(step, {"loss": float(step)})
    with opened(tmp_path, resume_step=2) as tracked:
        for step in (3, 4, 5):
            tracked.log(step, {"loss": float(step)})
    assert steps(tmp_path) == [1, 2, 3, 4, 5]
    (sent,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    # What `wandb sync` leaves beside what it has sent. The server has steps 1 to 5 now.
    sent.with_suffix(".wandb.synced").touch()
    with opened(tmp_path, resume_step=4) as tracked:
        for step in (5, 6):
            tracked.log(step, {"loss": float(step)})
    assert sent.exists()
    sent.rename(tmp_path / "sent")  # so that the other one is read
    sent.with_suffix(".wandb.synced").unlink()
    sent.parent.rename(tmp_path / "attempt")
    assert steps(tmp_path) == [6]


@pytest.fixture
def slow():
    """The address of a server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:  # the system accepts for it
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("case", ["no key", "no network", "slow server"])
def test_online_out_of_reach_goes_offline_with_one_warning(tmp_path, monkeypatch, capfd, slow, case):
    monkeypatch.setattr(wandb_run, "TIMEOUT", 1.0)
    if case != "no key":
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    if case == "slow server":
        monkeypatch.setenv("WANDB_BASE_URL", slow)
    with opened(tmp_path, name="wandb") as tracked:
        tracked.log(1, {"loss": 2.5})
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("warning: W&B cannot be reached (")
    assert in_wandb(tmp_path).history[0]["loss"] == 2.5
    assert json.loads((tmp_path / FILE).read_text()) == {"step": 1, "loss": 2.5}


class Online:
    """A run of W&B's that goes on at a step."""

    def __init__(self):
        self.sent = []

    def define_metric(self, *_, **__):
        pass

    def log(self, numbers, step):
        self.sent.append(step)


def test_a_run_that_goes_on_online_is_sent_what_the_server_lacks():
    run = Online()
    mirror = wandb_run.WandbRun(run, first=3)  # the server has 0 to 2
    for step in range(1, 6):
        mirror.log({"step": step, "loss": 1.0})
    assert run.sent == [3, 4, 5]
