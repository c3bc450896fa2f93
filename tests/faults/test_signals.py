"""Told to leave in whatever it does: what was learnt is saved, the exit code is the signal's, the next resumes."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from ablations import checkpoint, learner, run
from ablations.compose import CONF
from ablations.sweep import together
from tests.ablations.cells import asked, config
from tests.faults.commands import at_call, at_open, command, done, ended
from tests.faults.processes import FORKS, outcome

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)
WORDS = (
    "trainer.steps=12",
    "trainer.checkpoint_every=12",
    "trainer.eval_every=6",
    "trainer.eval_batch_tokens=64",  # several batches
    "trainer.log_every=5",
    "trainer.select=best",
    "model.dropout=0.2",
)
# What the run does when the signal comes: which call of what.
PHASES = {
    "a step between two lines": (4, learner.Alone, "step"),
    "a validation": (1, "ablations.run", "nats_per_token"),
    "the last validation": (2, "ablations.run", "nats_per_token"),
    "a checkpoint": (5, checkpoint._Summed, "write"),
    "the last checkpoint": (2, "ablations.checkpoint", "save_step"),
    "scoring": (2, "ablations.run", "score"),
    "the record": None,
    "preparing text": (1, "data.build", "_write_pairs"),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def undisturbed(cache, tmp_path_factory):
    """What the run leaves, and how long it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert done(asked(cache, folder / "first", *WORDS), folder / "said") == 0, (folder / "said").read_text()
    began = time.monotonic()
    assert done(asked(cache, folder / "second", *WORDS), folder / "said") == 0
    return outcome(folder / "first"), time.monotonic() - began


def tell(number: int, group: bool) -> None:
    os.killpg(0, number) if group else os.kill(os.getpid(), number)


def checkpoints(results: Path) -> list[dict]:
    """In the order of their steps."""
    found = [torch.load(file, weights_only=True) for file in results.glob("work/*/checkpoint-*.pt")]
    return sorted(found, key=lambda saved: saved["state"]["step"])


@pytest.mark.fault("told to leave by a signal")
@pytest.mark.parametrize("phase", PHASES)
def test_told_in_every_phase(cache, undisturbed, tmp_path, trials, phase):
    """The process alone or its whole group is told."""
    said = tmp_path / "said"
    for number in trials(full=2 * len(SIGNALS), quick=1):
        told = SIGNALS[(number + list(PHASES).index(phase)) % len(SIGNALS)]
        act = partial(tell, told, group=number % 2 == 0)
        results = tmp_path / str(number)
        words = asked(tmp_path / f"cache{number}" if phase == "preparing text" else cache, results, *WORDS)
        where = PHASES[phase]
        trap = partial(at_call, *where, act) if where else partial(at_open, 1, results / "records", act)
        assert done(words, said, trap) == 128 + told, said.read_text()
        assert "Traceback" not in said.read_text() and not list(results.glob("records/*/*"))
        if phase != "preparing text":
            saved = checkpoints(results)[-1]
            given_up = saved["logged"]["tokens"] > 0 and saved["state"]["step"] % 6 == 0
            assert given_up == ("validation" in phase)
        assert done(words, said) == 0, said.read_text()
        assert outcome(results) == undisturbed[0]


@pytest.mark.fault("told to leave by a signal")
def test_told_at_random_moments(cache, undisturbed, tmp_path, trials):
    """Again and again, imports, compositions and goodbyes included, of which the signal's own work is to end them."""
    whole, seconds = undisturbed
    said, runs = tmp_path / "said", 0
    for _ in trials(full=60, quick=4):
        results, told = tmp_path / str(runs), trials.random.choice(SIGNALS)
        process = command(asked(cache, results, *WORDS), said)
        time.sleep(trials.random.uniform(0.1, 1) * seconds)
        if process.exitcode is None:
            trials.random.choice((os.kill, os.killpg))(process.pid, told)
        code = ended(process)
        assert code in (0, 128 + told, -told, 1 if told == signal.SIGINT else 0), (code, said.read_text())
        if code == 0 or list(results.glob("records/*/*")):
            assert outcome(results) == whole
            runs += 1
    assert done(asked(cache, tmp_path / str(runs), *WORDS), said) == 0
    assert outcome(tmp_path / str(runs)) == whole


@pytest.mark.fault("told to leave by a signal")
def test_runs_in_a_stack_give_up_their_validations_together(cache, tmp_path, monkeypatch):
    torch.set_num_threads(1)

    def both(results: Path) -> list[float | Exception]:
        options = (*WORDS, "trainer.stack=2")
        return run.run_together([run.Asked(config(cache, results, *options, f"seed={seed}"), []) for seed in (0, 1)])

    both(tmp_path / "straight")
    usual, calls = run.nats_per_token, []

    def at_second_of_two(*given):
        calls.append(given)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return usual(*given)

    monkeypatch.setattr(run, "nats_per_token", at_second_of_two)
    with pytest.raises(SystemExit) as left:
        both(tmp_path / "told")
    assert left.value.code == 128 + signal.SIGUSR1
    assert [saved["state"]["curve"][-1]["step"] for saved in checkpoints(tmp_path / "told")] == [5, 5]
    both(tmp_path / "told")
    assert outcome(tmp_path / "told") == outcome(tmp_path / "straight")


@pytest.mark.fault("told to leave by a signal")
def test_the_command_line_and_its_group(cache, tmp_path):
    """As a launcher does it, to the whole group."""
    more = (*WORDS, "trainer.steps=120", "trainer.threads=1")
    for name in ("straight", "told"):
        words = asked(cache, tmp_path / name, *more)
        if name == "told":
            process = subprocess.Popen(
                [sys.executable, "train.py", *words], cwd=CONF.parent, stderr=subprocess.PIPE, start_new_session=True
            )
            while not any(file.stat().st_size for file in (tmp_path / name).glob("work/*/metrics.jsonl")):
                assert process.poll() is None
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGUSR1)
            assert (process.communicate()[1], process.returncode) == (b"", 128 + signal.SIGUSR1)
            assert len(checkpoints(tmp_path / name)) > 0
        assert done(words, tmp_path / "said") == 0
    assert outcome(tmp_path / "told") == outcome(tmp_path / "straight")


def two_at_once(number: int) -> None:
    """Runs a program as a sweep of several processes runs a cell, and is told."""
    with together.Children() as children, Path(os.devnull).open("w") as output:
        at_work = threading.Thread(target=children.run, args=(["sleep", "60"], dict(os.environ), output))
        at_work.start()
        while not children._running:
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        at_work.join()


@pytest.mark.fault("told to leave by a signal")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_who_has_several_processes_at_work_hands_it_on(told):
    """They are in sessions of their own: nobody else tells them."""
    process = FORKS.Process(target=two_at_once, args=(told,))
    process.start()
    assert ended(process) == 128 + told


@pytest.mark.fault("told to leave by a signal, at model=small")
@pytest.mark.skipif("QKV_CORPORA" not in os.environ, reason="QKV_CORPORA names no pool of real corpora")
def test_a_translator_of_model_small_leaves_within_ten_seconds(cache, tmp_path, trials):
    """On Multi30k with one thread; half of its time it validates. Ended where it would be scored, for an hour."""
    if not trials.full:
        pytest.skip("minutes")
    said, took = tmp_path / "said", []
    pool, folder = os.environ["QKV_CORPORA"], ("task=multi30k_en_de", "model=small", "trainer=multi30k")
    words = [*folder, f"paths.corpora={pool}", f"paths.cache={cache}", "trainer.device=cpu", "trainer.threads=1"]
    words += ["trainer.steps=56", "trainer.eval_every=7", "trainer.log_every=4", "trainer.checkpoint_every=56"]
    end = partial(at_call, 1, "ablations.run", "score", partial(os._exit, 77))
    began = time.monotonic()
    assert done([*words, f"paths.results={tmp_path / 'straight'}"], said, end) == 77
    seconds = time.monotonic() - began
    for _ in range(12):
        told = trials.random.choice(SIGNALS[:4])
        process = command([*words, f"paths.results={tmp_path / 'told'}"], said, end)
        process.join(trials.random.uniform(0.05, 0.12) * seconds)
        if process.exitcode is not None:  # its end came first, and no try
            break
        trials.add(1, 0)
        sent = time.monotonic()
        os.kill(process.pid, told)
        assert ended(process) == 128 + told, said.read_text()
        took.append(time.monotonic() - sent)
        trials.add(0, 1)
    print(f"seconds to leave: {sorted(round(one, 1) for one in took)}")
    assert len(took) >= 8 and max(took) < 10
    assert done([*words, f"paths.results={tmp_path / 'told'}"], said, end) == 77
    straight, left = (checkpoints(tmp_path / name)[-1] for name in ("straight", "told"))
    assert straight["state"]["step"] == left["state"]["step"] == 56
    assert all(torch.equal(weight, left["model"][name]) for name, weight in straight["model"].items())
