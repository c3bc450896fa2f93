"""The file is the record: what was logged is there whatever happens, to the process or to the mirror."""

import json
import math
import signal
import subprocess
import sys

import pytest

from ablations.compose import CONF
from ablations.config import TrackingConfig
from ablations.track import tracker
from ablations.track.start import open_tracker
from ablations.track.tracker import FILE, Tracker
from tests.ablations.make import make_record
from tests.ablations.track.offline import in_wandb


def opened(folder, resume_step=0, name="none"):
    return open_tracker(TrackingConfig(name=name), make_record(status="failed"), folder, resume_step)


def lines(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


class Broken:
    name = "The dashboard"

    def __init__(self, *fails):
        self.calls, self.fails = [], fails

    def __getattr__(self, method):
        def call(*_):
            self.calls.append(method)
            if method in self.fails:
                raise ConnectionError("gone\nlong trace")

        return call


def test_each_step_is_on_disk_when_log_returns(tmp_path):
    with opened(tmp_path) as tracked:
        tracked.log(1, {"loss": 2.5})
        assert lines(tmp_path) == [{"step": 1, "loss": 2.5}]
        tracked.log(2, {"loss": math.nan, "lr": 1e-3})
        assert lines(tmp_path)[1] == {"step": 2, "loss": None, "lr": 1e-3}


def test_a_resumed_run_writes_each_step_once(tmp_path):
    with opened(tmp_path) as tracked:
        for step in range(6):
            tracked.log(step, {"loss": float(step)})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 3, "lo')  # killed while writing
    with opened(tmp_path, resume_step=3) as tracked:
        for step in (4, 5):
            tracked.log(step, {"loss": float(step)})
    assert lines(tmp_path) == [{"step": step, "loss": float(step)} for step in range(6)]


def test_a_run_from_the_start_begins_an_empty_file(tmp_path):
    for _ in range(2):
        with opened(tmp_path) as tracked:
            tracked.log(0, {"loss": 1.0})
    assert lines(tmp_path) == [{"step": 0, "loss": 1.0}]


def test_a_mirror_is_given_the_lines_it_missed(tmp_path):
    seen = []
    mirror = Broken()
    mirror.log = seen.append
    with Tracker(tmp_path / FILE, mirror, [{"step": 1, "loss": None, "lr": 0.5}]) as tracked:
        tracked.log(2, {"loss": 1.0})
    assert seen == [{"step": 1, "lr": 0.5}, {"step": 2, "loss": 1.0}]


@pytest.mark.parametrize("name", ["none", "wandb", "wandb_offline", "trackio"])
def test_a_run_needs_no_package_of_a_dashboard(tmp_path, name):
    code = (
        "import sys; sys.modules |= dict.fromkeys(['wandb', 'trackio', 'matplotlib', 'torch'])\n"
        "from ablations.config import TrackingConfig\n"
        "from ablations.track.start import open_tracker\n"
        "from tests.ablations.make import make_record\n"
        "with open_tracker(TrackingConfig(name=sys.argv[1]), make_record(), sys.argv[2], 0) as t:\n"
        "    t.log(1, {'loss': 1.0}); t.show(make_record())\n"
    )
    command = [sys.executable, "-c", code, name, str(tmp_path / "run")]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=CONF.parent)
    assert lines(tmp_path / "run") == [{"step": 1, "loss": 1.0}]
    assert answer.stderr.count("warning: ") == (name != "none") == answer.stderr.count("is not installed")


def test_a_mirror_that_breaks_is_said_once_and_training_goes_on(tmp_path, capsys):
    mirror = Broken("log", "close")
    with Tracker(tmp_path / FILE, mirror) as tracked:
        for step in (1, 2):
            tracked.log(step, {"loss": 1.0})
        tracked.show(make_record())
    assert len(lines(tmp_path)) == 2
    warnings = capsys.readouterr().err
    assert warnings.count("warning: ") == 1 and "The dashboard failed (gone)" in warnings
    assert mirror.calls == ["log"], "nothing more is asked of it"


def test_a_record_that_cannot_be_shown_costs_the_mirror_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tracker, "outcome", lambda record: record["no such thing"])
    with Tracker(tmp_path / FILE, Broken()) as tracked:
        tracked.show(make_record())
        tracked.log(1, {"loss": 1.0})
    assert lines(tmp_path) and capsys.readouterr().err.count("warning: ") == 1


def test_a_run_killed_at_any_time_loses_no_line_and_its_dashboard_can_be_read(tmp_path):
    """kill -9 leaves no time to write anything. What `log` has returned from, and the parent has read of, is there."""
    code = (
        "import sys, time\n"
        "from ablations.config import TrackingConfig\n"
        "from ablations.track.start import open_tracker\n"
        "from tests.ablations.make import make_record\n"
        "with open_tracker(TrackingConfig(name='wandb_offline'), make_record(), sys.argv[1], 0) as t:\n"
        "    t._mirror._starting.result()  # however long it takes on a busy machine\n"
        "    for step in range(1, 100_000):\n"
        "        t.log(step, {'loss': 1 / step}); print(step, flush=True); time.sleep(0.01)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CONF.parent) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(250)]  # longer than W&B keeps lines to itself
        process.send_signal(signal.SIGKILL)
        told += [int(step) for step in process.stdout]
    assert process.returncode == -signal.SIGKILL
    written = lines(tmp_path)
    assert [line["step"] for line in written][: len(told)] == told and len(written) - len(told) in (0, 1)
    mirrored = in_wandb(tmp_path).history
    assert mirrored and [(row["step"], row["loss"]) for row in mirrored] == [
        (line["step"], line["loss"]) for line in written[: len(mirrored)]
    ]
