import io
import subprocess
import sys

import pytest

from ablations import progress
from ablations.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def run(clock, steps, seconds_per_step, **options):
    with Progress("docs-shared-s0", steps, **options) as shown:
        for step in range(options.get("start", 0) + 1, steps + 1):
            clock.now += seconds_per_step
            shown.update(step, 2.5, 1234.0)


def test_a_line_for_each_tenth_with_all_that_is_promised(clock, capsys):
    run(clock, 100, 1.0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[4] == "docs-shared-s0  step 50/100  loss 2.500  1,234 tokens/s  0:50 left"


def test_never_more_than_one_line_in_five_seconds(clock, capsys):
    run(clock, 100, 0.1)  # ten seconds in all
    assert len(capsys.readouterr().out.splitlines()) == 2  # one after five seconds, one for the last step


def test_a_long_run_speaks_each_minute(clock, capsys):
    run(clock, 100, 30.0)
    assert len(capsys.readouterr().out.splitlines()) == 50


def test_time_left_of_a_resumed_run_counts_its_own_steps(clock, capsys):
    run(clock, 100, 60.0, start=90)
    assert capsys.readouterr().out.splitlines()[0].endswith("step 91/100  loss 2.500  1,234 tokens/s  9:00 left")


def test_in_a_terminal_a_bar_shows_the_numbers(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress("docs [shared]", 100) as shown:
        shown.update(40, 2.5, 1234.0)
    for expected in ("docs [shared]", "40/100", "loss 2.500", "1,234 tokens/s", "left"):
        assert expected in screen.getvalue()


def test_without_a_terminal_rich_is_not_needed():
    code = (
        "import sys; sys.modules['rich'] = None\n"
        "from ablations.progress import Progress\n"
        "with Progress('x', 1) as p: p.update(1, 1.0, 1.0)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert "step 1/1" in done.stdout
