"""Training waits for no dashboard, and the dashboard misses nothing."""

import threading

import pytest

from ablations.track.background import Background


class Seen:
    name = "seen"

    def __init__(self):
        self.told = []

    def log(self, line):
        self.told.append(line["step"])

    def show(self, outcome):
        self.told.append(outcome)

    def close(self, failed):
        self.told.append(failed)


def test_what_came_before_the_start_is_shown_first():
    ready, seen = threading.Event(), Seen()
    mirror = Background("slow", lambda: ready.wait(60) and seen)
    mirror.log({"step": 1})
    mirror.log({"step": 2})
    assert seen.told == [], "it has not started, and nobody waited"
    ready.set()
    mirror._starting.result()
    mirror.log({"step": 3})
    assert seen.told == [1, 2, 3]
    mirror.show("end")
    mirror.close(False)
    assert seen.told == [1, 2, 3, "end", False]


def test_the_end_waits_for_the_start():
    ready, seen = threading.Event(), Seen()
    mirror = Background("slow", lambda: ready.wait(60) and seen)
    mirror.log({"step": 1})
    threading.Timer(0.2, ready.set).start()
    mirror.close(True)
    assert seen.told == [1, True]


def test_no_mirror_is_no_fault_and_a_broken_start_is_one():
    none = Background("none", lambda: None)
    none.log({"step": 1})
    none.close(False)
    broken = Background("broken", lambda: {}["nothing"])
    with pytest.raises(KeyError):
        broken.close(False)
