"""What two processes find is what one finds."""

import os
import sys
import threading

import pytest

from ablations import record as records
from ablations.record import halves, index
from tests.ablations.make import SITE, make_record


@pytest.fixture
def forced(monkeypatch):
    monkeypatch.setattr(halves, "worth_it", lambda count: count > 1)
    monkeypatch.setattr(index, "MOMENT", -(10**12))


def test_both_halves_are_done_and_the_second_comes_back():
    done = []
    assert halves.both(lambda: done.append(1), lambda: ([os.getpid()], {"a": "ä" * 10**6})) != ([os.getpid()], {})
    assert done == [1]
    found = halves.both(lambda: None, lambda: ([os.getpid()], "x" * 10**7))
    assert found is not None
    pids, text = found
    assert pids != [os.getpid()] and len(text) == 10**7, "more than a pipe holds"


@pytest.mark.parametrize("wrong", [lambda: 1 / 0, lambda: object(), lambda: os._exit(3)])
def test_a_fork_that_fails_comes_to_nothing(wrong):
    assert halves.both(lambda: None, wrong) is None


def free_descriptors():
    """The lowest numbers that no open file has."""
    found = [os.dup(0) for _ in range(3)]
    for number in found:
        os.close(number)
    return found


def refuse(*_):
    raise BlockingIOError(11, "Resource temporarily unavailable")


def no_thread(_):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("where", "name", "lack"), [(os, "pipe", refuse), (os, "fork", refuse), (threading.Thread, "start", no_thread)]
)
def test_a_machine_with_nothing_to_spare_does_the_first_half_and_keeps_no_pipe(monkeypatch, where, name, lack):
    done, opened = [], free_descriptors()
    with monkeypatch.context() as poor:
        poor.setattr(where, name, lack)
        assert halves.both(lambda: done.append(1), lambda: "x" * 10**6) is None
    assert done == [1] and free_descriptors() == opened
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_system_without_forks_does_without(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert halves.worth_it(halves.ENOUGH) == (threading.active_count() == 1)
    monkeypatch.delattr(os, "fork")
    assert not halves.worth_it(halves.ENOUGH)


def test_what_goes_wrong_here_is_raised_here_and_leaves_no_process():
    with pytest.raises(ZeroDivisionError):
        halves.both(lambda: 1 / 0, lambda: 1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_process_with_threads_is_not_forked():
    free = threading.Event()
    other = threading.Thread(target=free.wait)
    other.start()
    assert not halves.worth_it(10**6)
    free.set()
    other.join()
    assert not halves.worth_it(halves.ENOUGH - 1)


def lay_out(folder):
    for seed in range(5):
        records.write(make_record("separate", seed=seed), folder)
        records.write(make_record("shared", seed=seed, optim__lr=0.1 * (seed + 1)), folder)
        records.write(make_record("shared", "flickr", seed, sites__cross={**SITE, "kv_heads": 2}), folder)


def test_an_index_of_two_processes_says_what_that_of_one_says(tmp_path, forced, monkeypatch):
    lay_out(tmp_path)
    read = []
    real = index._text
    monkeypatch.setattr(index, "_text", lambda file: read.append(file) or real(file))
    two = records.briefs(tmp_path, "demo")
    assert len(read) == 7, "the fork has read the others"
    remembered = records.briefs(tmp_path, "demo")
    (tmp_path / "work" / "index" / "demo").unlink()
    monkeypatch.setattr(halves, "worth_it", lambda count: False)
    assert records.briefs(tmp_path, "demo") == two == remembered
    shared = [brief["signed"]["model"] for brief in two if brief["task"] == "docs"]
    assert len({id(part) for part in shared}) == 1, "dicts in common are one object"


@pytest.mark.parametrize("which", [0, -1])
def test_a_damaged_record_in_either_half_is_refused_by_name(tmp_path, forced, which):
    lay_out(tmp_path)
    file = sorted((tmp_path / "records" / "demo").iterdir())[which]
    file.write_text(file.read_text()[:-50])
    with pytest.raises(ValueError, match="not a readable record") as refusal:
        records.briefs(tmp_path, "demo")
    assert str(file) in str(refusal.value)
