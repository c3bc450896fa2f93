import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ablations.track import FILE, Tracker, open_tracker
from tests.ablations.make import make_config


def tracker(folder, name="none", **options):
    arguments = {"signature": "0123456789abcdef", "study": "demo", "task": "docs", "tags": ["shared"]}
    arguments |= {"config": make_config(), "folder": folder}
    return open_tracker(SimpleNamespace(name=name, project="p", entity=None), **(arguments | options))


def lines(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def in_wandb(folder):
    """What lies in the offline file of a run: its header, its history, its summary."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    entries = [
        json.loads(line) for line in subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    ]
    run = next(entry["run"] for entry in entries if "run" in entry)
    history = [entry["history"]["item"] for entry in entries if "history" in entry]
    summary = {}
    for entry in entries:
        summary |= entry.get("summary", {}).get("update", {})
    return run, history, summary


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


def test_each_step_is_on_disk_when_log_returns(tmp_path):
    with tracker(tmp_path) as tracked:
        tracked.log(1, {"loss": 2.5})
        assert lines(tmp_path) == [{"step": 1, "loss": 2.5}]
        tracked.log(2, {"loss": math.nan, "lr": 1e-3})
        assert lines(tmp_path)[1] == {"step": 2, "loss": None, "lr": 1e-3}


def test_a_resumed_run_writes_each_step_once(tmp_path):
    with tracker(tmp_path) as tracked:
        for step in range(6):
            tracked.log(step, {"loss": float(step)})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 3, "lo')  # killed while writing
    with tracker(tmp_path, resume_step=3) as tracked:
        for step in (4, 5):
            tracked.log(step, {"loss": float(step)})
    assert lines(tmp_path) == [{"step": step, "loss": float(step)} for step in range(6)]


def test_a_run_from_the_start_begins_an_empty_file(tmp_path):
    for _ in range(2):
        with tracker(tmp_path) as tracked:
            tracked.log(0, {"loss": 1.0})
    assert lines(tmp_path) == [{"step": 0, "loss": 1.0}]


def test_tracking_none_never_imports_wandb(tmp_path):
    code = (
        "import sys; sys.modules['wandb'] = None\n"
        "from types import SimpleNamespace\n"
        "from ablations.track import open_tracker\n"
        "t = open_tracker(SimpleNamespace(name='none'), folder=sys.argv[1], signature='x', study='s', task='t',"
        " tags=[], config={'seed': 0})\n"
        "with t: t.log(1, {'loss': 1.0}); t.summary({'bleu': 1.0}); t.samples([{'source': 'a'}])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert lines(tmp_path) == [{"step": 1, "loss": 1.0}]


def test_wandb_offline_holds_the_same_numbers(tmp_path, capsys):
    with tracker(tmp_path, "wandb_offline") as tracked:
        tracked.log(1, {"loss": 2.5, "lr": 1e-3})
        tracked.log(2, {"loss": 2.25, "valid_nll": 1.75})
        tracked.log(3, {"loss": math.inf})
        tracked.summary({"test/bleu": 31.5})
        tracked.samples([{"source": "a", "reference": "b", "hypothesis": "c"}])
    assert "warning" not in capsys.readouterr().err
    run, history, summary = in_wandb(tmp_path)
    assert (run["run_id"], run["run_group"], run["job_type"]) == ("0123456789abcdef", "demo", "docs")
    assert run["tags"] == ["shared"]
    assert "paths" not in json.dumps(run["config"]) and "d_model" in json.dumps(run["config"])
    seen = [{key: value for key, value in row.items() if key in ("step", "loss", "lr", "valid_nll")} for row in history]
    assert seen == [{key: value for key, value in line.items() if value is not None} for line in lines(tmp_path)]
    assert summary["test/bleu"] == 31.5
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")
    stored = json.loads(table.read_text())
    assert stored["columns"] == ["source", "reference", "hypothesis"] and stored["data"] == [["a", "b", "c"]]


@pytest.mark.parametrize("key", [None, "a" * 40], ids=["no key", "no network"])
def test_online_out_of_reach_goes_offline_with_one_warning(tmp_path, monkeypatch, capsys, key):
    monkeypatch.setattr("ablations.track.TIMEOUT", 1.0)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    with tracker(tmp_path, "wandb") as tracked:
        tracked.log(1, {"loss": 2.5})
    warnings = capsys.readouterr().err
    assert warnings.count("warning: ") == warnings.count("W&B cannot be reached") == 1
    assert in_wandb(tmp_path)[1][0]["loss"] == 2.5
    assert lines(tmp_path) == [{"step": 1, "loss": 2.5}]


def test_a_mirror_that_breaks_is_said_once_and_training_goes_on(tmp_path, capsys):
    def broken(*_, **__):
        raise ConnectionError("gone\nlong trace")

    with Tracker(tmp_path / FILE, mirror=SimpleNamespace(log=broken, finish=broken)) as tracked:
        for step in (1, 2):
            tracked.log(step, {"loss": 1.0})
    assert len(lines(tmp_path)) == 2
    warnings = capsys.readouterr().err
    assert warnings.count("warning: ") == 1 and "W&B failed (gone)" in warnings


def test_without_wandb_numbers_go_to_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with tracker(tmp_path, "wandb") as tracked:
        tracked.log(1, {"loss": 1.0})
    assert "wandb is not installed" in capsys.readouterr().err and len(lines(tmp_path)) == 1


def test_an_unknown_tracker_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="choose none, wandb or wandb_offline"):
        tracker(tmp_path / "run", "tensorboard")
    assert not (tmp_path / "run").exists()
