import itertools

import pytest
import torch

from ablations.bench.timing import Work, clock, interleaved, once, ratio, spread


class Machine:
    """A clock that only work moves on."""

    def __init__(self):
        self.time, self.order = 0.0, []

    def work(self, name, seconds, units=float):
        def run(count):
            self.order.append(name)
            self.time += seconds * count

        return Work(run, units)

    def now(self):
        return self.time


def test_a_spread_is_the_median_with_its_quartiles():
    found = spread([4.0, 1.0, 3.0, 2.0, 100.0])
    assert (found.median, found.low, found.high, found.n) == (3.0, 2.0, 4.0, 5)


def test_one_number_is_its_own_spread():
    assert (spread([7.0]).low, spread([7.0]).median, spread([7.0]).high) == (7.0, 7.0, 7.0)


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_moment_of_the_machine_cancels():
    samples = {"slow": [2.0, 20.0, 2.0], "fast": [1.0, 10.0, 1.0]}
    assert (ratio(samples, "slow", "fast").low, ratio(samples, "slow", "fast").high) == (2.0, 2.0)


def test_samples_are_seconds_of_a_unit_however_many_pieces_fill_a_sample():
    machine = Machine()
    works = {"long": machine.work("long", 0.5), "short": machine.work("short", 0.001, lambda count: 10.0 * count)}
    samples = interleaved(works, 3, machine.now, seconds=0.2)
    assert samples["long"] == pytest.approx([0.5] * 3)
    assert samples["short"] == pytest.approx([0.0001] * 3)


def test_contenders_take_turns_and_every_other_round_begins_with_the_last():
    """Were one always first, whatever the machine does as time goes on would be held against the other."""
    machine = Machine()
    interleaved({"a": machine.work("a", 1.0), "b": machine.work("b", 1.0)}, 4, machine.now, seconds=0)
    warm, timed = machine.order[:2], machine.order[2:]
    assert warm == ["a", "b"]
    assert timed == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_a_call_is_a_piece_and_a_unit():
    calls = itertools.count()
    work = once(lambda: next(calls))
    work.run(3)
    assert next(calls) == 3 and work.units(3) == 3.0


def test_on_a_cpu_waiting_costs_nothing():
    """The clock counts what the process computed: time that other processes took is not in it."""
    import time

    now = clock(torch.device("cpu"))
    before = now()
    time.sleep(0.2)
    assert now() - before < 0.1
