"""trackio holds what the file and the record say, in our folder, and asks nobody."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from ablations import record as records
from ablations.compose import CONF
from ablations.track.outcome import numbers
from tests.ablations.make import make_record

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("trackio") is None,
    reason="trackio is not installed: pip install -r requirements-dashboard.txt",
)
# What a process did to trackio's files, told at its end: it reads where they lie once, when it is imported.
TOLD = """
import json, socket, sys
def refuse(*_): raise AssertionError("something was asked for over the network")
socket.getaddrinfo = socket.socket.connect = refuse
from pathlib import Path
from ablations.config import TrackingConfig
from ablations.track import finished
from ablations.track.start import open_tracker
from tests.ablations.make import make_record
results = Path(sys.argv[1])
{do}
import trackio
from trackio.sqlite_storage import SQLiteStorage
told = {{}}
for run in SQLiteStorage.get_run_records("demo"):
    found = {{"id": run["id"], "config": SQLiteStorage.get_run_config("demo", run["name"], run_id=run["id"])}}
    found["logs"] = SQLiteStorage.get_logs("demo", run["name"], run_id=run["id"])
    told[run["name"]] = found
print(json.dumps(told, default=str))
"""


def told(tmp_path, do):
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKIO", "HF_"))}
    answer = subprocess.run(
        [sys.executable, "-c", TOLD.format(do=do), str(tmp_path / "results")],
        cwd=CONF.parent,
        env=environment | {"HOME": str(home), "HF_TOKEN": "hf_of_nobody"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert not any(home.iterdir()), "nothing is left in the home folder"
    assert "warning" not in answer.stderr.lower(), answer.stderr
    (printed,) = answer.stdout.splitlines()
    assert (tmp_path / "results" / "work" / "trackio" / "demo.db").exists()
    return json.loads(printed)


def test_an_interrupted_run_is_one_run_with_each_step_once(tmp_path):
    runs = told(
        tmp_path,
        """
record = make_record(task="flickr")
record["samples"] = [{"source": "a", "hypothesis": "b"}]
def attempt(resume_step, steps, done):
    folder = results / "work" / record["signature"]
    with open_tracker(TrackingConfig(name="trackio"), record, folder, resume_step) as tracked:
        for step in steps: tracked.log(step, {"loss": float(step), "lr": None})
        if done: tracked.show(record)
attempt(0, (1, 2, 3, 4), False)
attempt(2, (3, 4, 5), True)
""",
    )
    record = make_record(task="flickr")
    assert list(runs) == ["flickr-shared-s0"]
    [run] = runs.values()
    assert run["id"] == record["signature"] and run["config"]["strategy"] == "shared"
    assert "paths" not in run["config"]
    curve = {log["step"]: log["loss"] for log in run["logs"] if "loss" in log}
    assert curve == {step: float(step) for step in range(1, 6)} and sum("loss" in log for log in run["logs"]) == 5
    (final,) = [log for log in run["logs"] if "samples" in log]
    expected = {name: value for name, value in numbers(record).items() if name != "status"}
    assert final["step"] == 5 and {name: final[name] for name in expected} == expected


def test_a_finished_study_is_filled_from_its_records_again_and_again(tmp_path):
    curve = [{"step": 10, "loss": 2.0, "valid_nll": None}, {"step": 20, "loss": 1.0, "valid_nll": 1.5}]
    for seed in (0, 1):
        records.write({**make_record(seed=seed), "curve": curve}, tmp_path / "results")
    runs = told(tmp_path, "assert finished.fill(results, 'demo') == finished.fill(results, 'demo') == 2")
    assert set(runs) == {"docs-shared-s0", "docs-shared-s1"}
    for run in runs.values():
        assert [(log["step"], log["loss"]) for log in run["logs"] if "loss" in log] == [(10, 2.0), (20, 1.0)]
        assert [log["valid_nll"] for log in run["logs"] if "valid_nll" in log] == [1.5]
        assert {log["step"] for log in run["logs"] if "cost/parameters" in log} == {20}
