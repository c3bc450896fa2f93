"""`--full`: every fault as often as `make faults` does; `--tally FILE`: how often each was survived."""

import json
from pathlib import Path

import pytest

from tests.faults.trials import Trials


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="as many tries as `make faults`")
    parser.addoption("--tally", type=Path, help="JSON to write: fault -> tries, survived, skipped")


@pytest.fixture
def trials(request) -> Trials:
    """The tries of a test that wants more than one; whether it is the long round, and its random numbers."""
    return Trials(request.config.getoption("--full", False), request.node.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    marker = item.get_closest_marker("fault")
    if marker is not None and call.when == "call":
        asked: Trials | None = item.funcargs.get("trials")
        held = call.excinfo is None
        counts = [asked.tries, asked.survived] if asked is not None and asked.tries else [1, int(held)]
        if not held and counts[0] == counts[1]:
            counts[1] -= 1  # it broke between two tries
        item.user_properties.append(("fault", [marker.args[0], *counts]))
    return (yield)


class Tally:
    """Adds up what the reports of all processes say."""

    def __init__(self, file: Path):
        self.file, self.found = file, {}

    def pytest_runtest_logreport(self, report):
        for key, value in report.user_properties if report.when == "call" else []:
            if key == "fault":
                name, tries, survived = value
                row = self.found.setdefault(name, {"tries": 0, "survived": 0, "skipped": 0})
                if report.skipped:
                    row["skipped"] += 1
                else:
                    row["tries"] += tries
                    row["survived"] += survived

    def pytest_sessionfinish(self):
        self.file.write_text(json.dumps(self.found, indent=1) + "\n")


def pytest_configure(config):
    file = config.getoption("--tally", None)
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tally(file))
