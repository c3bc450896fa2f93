"""Whatever stands in a file or on the command line is accepted or refused in one sentence.

Each entry is fed by hypothesis, which knows what inputs look like, and by atheris, which looks for bytes that reach
code no input has reached. Each does so in a process of its own, since what is written in C may end it.
"""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings

from tests.faults import watched
from tests.faults.entries.caches import resealed
from tests.faults.entries.checkpoints import sealed_file
from tests.faults.fuzz import Count, own_folder
from tests.faults.strategies import STRATEGIES
from tests.faults.targets import TARGETS
from tests.faults.watched import Lost, Watched

INPUTS = 100_000  # for each entry and engine
QUICK = {"overrides": 100, "record": 400, "checkpoint": 400, "corpora": 600, "cache": 400}
AT_ONCE = 5_000  # hypothesis remembers what it has tried

overrides = pytest.mark.fault("strange words on the command line, fuzzed")
record = pytest.mark.fault("strange bytes in a record, fuzzed")
checkpoint = pytest.mark.fault("strange bytes in a checkpoint, fuzzed")
corpora = pytest.mark.fault("strange bytes in a corpus, fuzzed")
cache = pytest.mark.fault("strange bytes in a prepared folder or its tokenizer, fuzzed")
EVERY = [
    pytest.param("overrides", marks=overrides),
    pytest.param("record", marks=record),
    pytest.param("checkpoint", marks=checkpoint),
    pytest.param("corpora", marks=corpora),
    pytest.param("cache", marks=cache),
]


def array(numbers: list[int]) -> bytes:
    """A file of numpy's."""
    file = io.BytesIO()
    np.save(file, np.array(numbers))
    return file.getvalue()


# What once broke the promise, as `read` of the target is given it.
FOUND: dict[str, Callable[[Any], list[tuple]]] = {
    "overrides": lambda target: [
        *(([word], False, False) for word in ("seed" + "9" * 5000, "task.tokenizer=${oc.dict.values:model}")),
        *(([word], False, False) for word in ("sites=${model}", "analysis.parts=${seed}", "seed=" + "9" * 4000)),
        *(([word], False, False) for word in ('study.question="\udcff"', "+task.corpus.options.a=nan")),
        (["model.d_model=" + "9" * 400, "match=params"], True, False),
        (["+=[1]"], True, False),
        *(([word], True, False) for word in ("task=[0]", "task=[[a]]")),
        *(([word], True, True) for word in ("seed=range(0,1000000000)", "seed=shuffle(range(0,1000000000))")),
        *(([word], True, True) for word in ("optim.lr=range(0,inf)", "optim.lr=range(0,nan)", "seed=range(0,9,0)")),
        (["seed=range(0,9999)", "model.heads=range(1,9999)"], True, True),
    ],
    "record": lambda target: [target.with_value(("config", "model", "heads"), False)],
    "checkpoint": lambda target: [(sealed_file(b"X"),), (sealed_file(b"\x80\x00"),)],
    "corpora": lambda target: [],
    "cache": lambda target: [
        (0, resealed(target.manifest(0), "tokenizer.model", b"")),
        (1, resealed(target.manifest(1), "tokenizer.json", b'{"symbols": [[1]]}')),
        (1, resealed(target.manifest(1), "tokenizer.json", b"[" * 9999)),
        (1, {"manifest.json": b"[" * 9999}),
        (1, resealed(target.manifest(1), "test.text.npy", b"\x93NUMPY")),
        (2, resealed(target.manifest(2), "train.label.npy", array([0, 1 << 29]))),
    ],
}
RULES = settings(
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", EVERY)
def test_inputs_that_hypothesis_makes(name, trials):
    inputs = INPUTS if trials.full else QUICK[name]
    first = trials.random.randrange(2**32)
    with own_folder() as folder:
        count = Count(folder / "count")
        report = forked(lambda: feed(name, folder, inputs, first, count), folder / "report")
        tried, _ = count.get()
    trials.add(tried + bool(report), tried)
    assert not report, report
    assert tried >= inputs


def feed(name: str, folder: Path, inputs: int, first: int, count: Count) -> None:
    target, watch = TARGETS[name](folder), Watched(folder)
    watch.limit_memory()
    inputs_of = STRATEGIES[name](target)
    while (left := inputs - count.get()[0]) > 0:

        def one(made: tuple) -> None:
            try:
                count.add(watch(lambda: target.read(*made)))
            except Lost as lost:
                raise AssertionError(lost) from lost.__cause__

        fed = given(inputs_of)(one)
        for made in FOUND[name](target):
            fed = example(made)(fed)
        seed(first)(settings(RULES, max_examples=min(left, AT_ONCE))(fed))()
        first += 1


def forked(work: Callable[[], object], report: Path) -> str:
    """Does it in a fork; what was wrong there, or nothing."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            report.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return f"the process died of {signal.Signals(os.WTERMSIG(status)).name}"
    return report.read_text() if status else ""


@pytest.mark.parametrize("name", EVERY)
def test_inputs_that_atheris_makes(name, trials):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has wheels for Linux on x86-64 alone")
    if not trials.full and name != "corpora":
        pytest.skip("in make faults: instrumenting all that is imported takes seconds")
    inputs = INPUTS if trials.full else 2_000
    with own_folder() as folder:
        count = Count(folder / "count")
        command = [sys.executable, str(Path(__file__).parent / "fuzz.py"), name, "--inputs", str(inputs)]
        command += ["--seed", str(trials.random.randrange(1, 2**31)), "--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        tried, _ = count.get()
    trials.add(tried + bool(done.returncode), tried)
    assert done.returncode == 0, done.stderr[-4000:]
    assert tried >= inputs


def prints() -> None:
    print("so")


def writes_elsewhere() -> None:
    Path(os.devnull).write_text("so")


def takes_too_long() -> None:
    while True:
        pass


def takes_too_much() -> None:
    bytearray(4 << 30)


def breaks() -> None:
    {}["nothing"]


def starts_something() -> None:
    os.system("true")


BAD = [prints, writes_elsewhere, takes_too_long, takes_too_much, breaks, starts_something]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_what_breaks_the_promise_is_seen(bad, tmp_path, monkeypatch):
    monkeypatch.setattr(watched, "PATIENCE", 0.2)

    def watch() -> None:
        guard = Watched(tmp_path)
        guard.limit_memory()
        assert guard(lambda: (tmp_path / "here").write_text("text")), "here it may write"
        with pytest.raises(Lost):
            guard(bad)

    assert not (report := forked(watch, tmp_path / "report")), report
