"""Several processes at one thing, made to meet: one works, the others wait or step aside, and nothing is torn."""

import errno
import fcntl
import io
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

import data.build
import data.prepare
import data.turn
from ablations import learner, record, run, writers
from ablations.compose import compose
from ablations.errors import shell
from ablations.files import torn, whole_file
from ablations.record import index
from ablations.sweep.launch import launch
from ablations.sweep.plan import plan
from data.config import TaskConfig
from data.owner import own_path, owner
from tests.ablations.cells import asked
from tests.ablations.make import make_record
from tests.data.helpers import left, parallel_task
from tests.data.test_prepare import fingerprints
from tests.faults.processes import FORKS, outcome

EIGHT = 8


BEGUN: list[ForkServerProcess] = []


@pytest.fixture(autouse=True)
def nobody_stays():
    """Not even who stood still when a test failed."""
    yield
    while BEGUN:
        BEGUN.pop().kill()


def begin(work: Callable[..., object], *given: Any) -> ForkServerProcess:
    process = FORKS.Process(target=work, args=given)
    process.start()
    BEGUN.append(process)
    return process


def end(processes: list[ForkServerProcess]) -> list[int | None]:
    """Exit codes; whoever hangs is killed."""
    until = time.monotonic() + 120
    for process in processes:
        process.join(max(0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError("a process hangs")
    return [process.exitcode for process in processes]


def until(condition: Callable[[], bool]) -> None:
    """Waits for what other processes are about to do."""
    last = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < last, "it does not happen"
        time.sleep(0.01)


def appear(path: Path) -> str:
    """The text of a file that another process is about to write, in one piece."""
    until(lambda: path.exists() and path.stat().st_size > 0)
    return path.read_text()


def say(file: Path, word: object) -> None:
    """A line more: written in one piece, whoever else writes."""
    with file.open("a") as lines:
        lines.write(f"{word}\n")


# What a file system without locks does instead.
def without_locks() -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = refuse


def locks_for_everybody() -> None:
    fcntl.flock = lambda *_: None


def as_usual() -> None:
    pass


# --- eight that prepare one text


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[TaskConfig, Path, dict[str, str]]:
    """A task, its texts, and what preparing it gives when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("texts")
    task = parallel_task(folder, 1500)
    found = data.prepare.prepare(task, str(folder), str(folder / "cache"))
    return task, folder, fingerprints(found.folder)


def prepare_one(
    task: TaskConfig, folder: Path, cache: Path, locks: Callable[[], None], barrier: Any, log: Path
) -> None:
    """`log` takes a line from whoever builds; who has locks meets the others in front of them, else while building."""
    locks()
    build, turn, write = data.prepare.build, data.prepare.turn, data.build._write

    def building(*given: Any) -> Any:
        say(log, os.getpid())
        return build(*given)

    def turning(home: Path) -> Any:
        barrier.wait(60)
        return turn(home)

    def writing(*given: Any) -> Any:
        content = write(*given)
        barrier.wait(60)
        return content

    data.prepare.build = building
    if locks is as_usual:
        data.prepare.turn = turning
    else:
        data.build._write = writing
    found = data.prepare.prepare(task, str(folder), str(cache))
    assert found.facts["splits"]["train"]["pairs"] == 1500


@pytest.mark.fault("eight processes prepare one text at once")
def test_one_prepares_and_seven_take_it(prepared, tmp_path, trials):
    task, folder, whole = prepared
    for number in trials(full=40, quick=2):
        cache, log, barrier = tmp_path / str(number), tmp_path / f"{number}.log", FORKS.Barrier(EIGHT)
        given = (task, folder, cache, as_usual, barrier, log)
        assert end([begin(prepare_one, *given) for _ in range(EIGHT)]) == [0] * EIGHT
        [home] = cache.glob("*/*")
        [made] = left(home)
        assert fingerprints(home / made) == whole
        assert len(log.read_text().splitlines()) == 1, "one has built"


@pytest.mark.fault("eight processes prepare one text where there are no locks")
@pytest.mark.parametrize("locks", [without_locks, locks_for_everybody])
def test_all_prepare_and_one_folder_wins(locks, prepared, tmp_path, trials):
    """All have built before the first one renames; nobody takes another's half-made folder for a dead one's."""
    task, folder, whole = prepared
    for number in trials(full=20, quick=1):
        cache, log, barrier = tmp_path / str(number), tmp_path / f"{number}.log", FORKS.Barrier(EIGHT)
        given = (task, folder, cache, locks, barrier, log)
        assert end([begin(prepare_one, *given) for _ in range(EIGHT)]) == [0] * EIGHT
        [home] = cache.glob("*/*")
        [made] = left(home)
        assert fingerprints(home / made) == whole
        assert len(log.read_text().splitlines()) == EIGHT, "all have built at once"


def prepare_and_hang(task: TaskConfig, folder: Path, cache: Path, log: Path, said: Path | None = None) -> None:
    """The first that builds writes its number to `log` when it is half through, and stays there."""
    if said is not None:
        sys.stderr = io.TextIOWrapper(io.FileIO(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w"))
    data.turn.PATIENCE = 0.2
    write = data.build._write_pairs

    def writing(folder: Path, split: str, *rest: Any) -> Any:
        if split == "train" and not log.exists():
            say(log, os.getpid())
            time.sleep(600)
        return write(folder, split, *rest)

    data.build._write_pairs = writing
    data.prepare.prepare(task, str(folder), str(cache))


@pytest.mark.fault("kill -9 of the one for whom others wait")
def test_a_dead_owner_s_turn_passes_on_at_once(prepared, tmp_path, trials):
    """Those who wait say for whom; when it is killed, one of them removes what it left, and builds."""
    task, folder, whole = prepared
    for number in trials(full=20, quick=1):
        cache, log, said = tmp_path / str(number), tmp_path / f"{number}.log", tmp_path / f"{number}.said"
        first = begin(prepare_and_hang, task, folder, cache, log)
        owner = appear(log).strip()
        others = [begin(prepare_and_hang, task, folder, cache, log, said) for _ in range(3)]
        until(lambda said=said: appear(said).count("\n") == 3)
        [home] = cache.glob("*/*")
        assert set(said.read_text().splitlines()) == {
            f"waiting for process {owner} on {os.uname().nodename}, preparing {home}"
        }
        assert len(left(home)) == 1 and left(home)[0].startswith(".building-")
        os.kill(int(owner), signal.SIGKILL)
        assert end([first, *others]) == [-signal.SIGKILL, 0, 0, 0]
        [made] = left(home)
        assert fingerprints(home / made) == whole


def just_prepare(task: TaskConfig, folder: Path, cache: Path) -> None:
    data.prepare.prepare(task, str(folder), str(cache))


@pytest.mark.fault("kill -9 at a random moment of a preparation")
def test_a_killed_preparation_is_made_again(prepared, tmp_path, trials):
    """With equal bytes, and nothing left of what was half made. Half of the tries damage a finished folder before."""
    task, folder, whole = prepared
    assert end([begin(as_usual)]) == [0]  # with the first one starts the server that forks them all
    began = time.monotonic()
    assert end([begin(just_prepare, task, folder, tmp_path / "whole")]) == [0]
    seconds, killed = time.monotonic() - began, 0
    for number in trials(full=200, quick=4):
        cache = tmp_path / str(number)
        if number % 2:
            shutil.copytree(tmp_path / "whole", cache)
            [array] = cache.rglob("train.source.npy")
            os.truncate(array, 100)
        process = begin(just_prepare, task, folder, cache)
        process.join(trials.random.uniform(0, seconds))
        process.kill()
        killed += end([process]) == [-signal.SIGKILL]
        just_prepare(task, folder, cache)
        [home] = cache.glob("*/*")
        [made] = left(home)
        assert fingerprints(home / made) == whole
        shutil.rmtree(cache)
    assert killed > (trials.tries / 2 if trials.full else 0), "most were killed before they had ended"


NOT_OURS = [".sync-conflict-2026-node", ".a-b-c-d", ".x.1a.tmp", ".x.4711.tmp", ".nfs0000-00000001", ".tmp"]
NOT_OURS += [".x-0badcafe-99999999999999999999-node.tmp", ".x-0BADCAFE-1-node.tmp", "x-0badcafe-1-node"]


@pytest.mark.fault("half-written files of another machine, and hidden files of other programs")
def test_only_the_dead_are_tidied_up_after(tmp_path, monkeypatch):
    """The number of a process says nothing on another machine; who has our own came before us."""
    files, cache = tmp_path / "files", tmp_path / "cache"
    files.mkdir(), cache.mkdir()
    gone, living = begin(as_usual), begin(time.sleep, 600)
    end([gone])
    here, there, day = socket.gethostname(), "node-7.cluster", 24 * 3600
    alive, dead = set(NOT_OURS), set()
    for process, machine, age, whose in (
        (gone.pid, here, 0, dead),
        (os.getpid(), here, 0, dead),
        (living.pid, here, 2 * day, alive),
        (gone.pid, there, day / 2, alive),
        (os.getpid(), there, day / 2, alive),
        (living.pid, there, 2 * day, dead),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", lambda process=process: process)
            patched.setattr(socket, "gethostname", lambda machine=machine: machine)
            half, folder = own_path(files, "best.1-a.pt", ".tmp"), own_path(cache, "building")
        half.touch(), folder.mkdir()
        for path in (half, folder):
            os.utime(path, (time.time() - age,) * 2)
            whose.add(path.name)
    for name in NOT_OURS:
        (files / name).touch(), (cache / name).mkdir()
        for home in (files, cache):
            os.utime(home / name, (time.time() - 2 * day,) * 2)
    assert {path.name for path in torn(files)} == dead & {path.name for path in files.iterdir()}
    kept = [name for name in left(cache) if name in alive]
    with data.turn.turn(cache):
        assert left(cache) == kept
    with whole_file(files / "new.pt") as _:
        [path] = files.glob(".new.pt*.tmp")
        assert owner(path) == (os.getpid(), here)


# --- two that train one run

RUN = ("trainer.steps=20", "trainer.checkpoint_every=2", "trainer.eval_every=5", "trainer.log_every=2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def alone(cache, tmp_path_factory) -> dict[int, dict[str, Any]]:
    """What the run leaves when nobody else is there."""
    folder = tmp_path_factory.mktemp("alone")
    assert end([begin(train, cache, folder, folder / "said")]) == [0], (folder / "said").read_text()
    return outcome(folder)


def train(cache: Path, results: Path, said: Path, trap: Callable[..., None] | None = None, *given: Any) -> None:
    """`python train.py` of the run; `said` takes what it prints."""
    speak(said)
    if trap is not None:
        trap(*given)
    words = asked(cache, results, *RUN)
    shell(lambda: run.run(compose(words), words))()


def speak(said: Path) -> None:
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    torch.set_num_threads(1)


def at_step(number: int, what: Callable[[], object]) -> None:
    """Before the step of this number that this process makes, `what` is called."""
    step, taken = learner.Alone.step, []

    def counted(self: Any, *given: Any) -> Any:
        taken.append(1)
        if len(taken) == number:
            what()
        return step(self, *given)

    learner.Alone.step = counted


def stop_at_step(number: int, log: Path) -> None:
    """Says so there, and stands still, its locks in its hands, if it is the first."""

    def stop() -> None:
        say(log, os.getpid())
        if log.read_text().splitlines()[0] == str(os.getpid()):
            os.kill(os.getpid(), signal.SIGSTOP)

    at_step(number, stop)


@pytest.mark.fault("two processes train one run")
@pytest.mark.parametrize("ends", ["goes on", "is killed"])
def test_one_trains_and_the_other_says_who(ends, cache, alone, tmp_path, trials):
    """Whoever comes first works; after kill -9 of it the run goes on, with nothing to be cleaned up by hand."""
    for number in trials(full=10, quick=1):
        results, log, said = (tmp_path / f"{number}.{what}" for what in ("results", "log", "said"))
        both = [begin(train, cache, results, said, stop_at_step, trials.random.randint(2, 18), log) for _ in range(2)]
        owner = int(appear(log).split()[0])
        until(lambda both=both: any(process.exitcode is not None for process in both))
        [first] = [process for process in both if process.exitcode is None]
        assert end([process for process in both if process is not first]) == [1]
        assert re.fullmatch(
            r"error: another process trains .* in .*: let it finish, or stop it first\n", said.read_text()
        )
        assert len(log.read_text().splitlines()) == 1, "one was at work"
        os.kill(owner, signal.SIGCONT if ends == "goes on" else signal.SIGKILL)
        assert end([first]) == [0 if ends == "goes on" else -signal.SIGKILL]
        if ends == "is killed":
            assert end([begin(train, cache, results, said)]) == [0]
        assert outcome(results) == alone


def meet(barrier: Any, step: int) -> None:
    """No locks, and all are in the middle of their training at one moment."""
    locks_for_everybody()
    at_step(step, lambda: barrier.wait(60))


@pytest.mark.fault("two processes train one run where there are no locks")
def test_both_train_and_one_whole_record_is_left(cache, alone, tmp_path, trials):
    """One of them may be told that its files are gone; weights, scores and record are those of an undisturbed run."""
    for number in trials(full=30, quick=2):
        results, barrier = tmp_path / str(number), FORKS.Barrier(2)
        said = [tmp_path / f"{number}.{who}" for who in "ab"]
        step = trials.random.randint(1, 18)
        codes = end([begin(train, cache, results, each, meet, barrier, step) for each in said])
        assert 0 in codes and set(codes) <= {0, 1}, [each.read_text() for each in said]
        for code, each in zip(codes, said, strict=True):
            assert (code == 1) == ("error: " in each.read_text()) and "Traceback" not in each.read_text()
        [found], [expected] = outcome(results).values(), alone.values()
        assert all(found[what] == expected[what] for what in ("record", "weights", "texts"))


# --- sweeps

SWEEP = ("seed=0,1,2", "study.name=night", "trainer.threads=1")


def sweep(cache: Path, results: Path, said: Path, trap: Callable[..., None] | None = None, *given: Any) -> None:
    """`python train.py -m` of three runs."""
    speak(said)
    if trap is not None:
        trap(*given)
    shell(lambda: launch(plan(asked(cache, results, *SWEEP))))()


def look_on(results: Path, over: Any, looks: Any) -> None:
    """Makes tables again and again, and reads every record, until it is over."""
    while not over.is_set():
        writers.write(results, *record.studies(results))
        for found in record.load_all(results):
            assert found["status"] == "finished"
        record.briefs(results, "night")
        looks.value += 1


@pytest.mark.fault("four sweeps into one results folder")
def test_each_cell_is_trained_once(cache, tmp_path, trials):
    """The first that trains stands still until the others have left: they have met it, and none of its cells."""
    for number in trials(full=15, quick=1):
        results, log, over = tmp_path / str(number), tmp_path / f"{number}.log", FORKS.Event()
        looks = FORKS.Value("i", 0)
        said = [tmp_path / f"{number}.{who}" for who in range(4)]
        watcher = begin(look_on, results, over, looks)
        sweeps = [begin(sweep, cache, results, each, stop_at_step, trials.random.randint(1, 3), log) for each in said]
        owner = int(appear(log).split()[0])
        until(lambda sweeps=sweeps: sum(process.exitcode is None for process in sweeps) == 1)
        os.kill(owner, signal.SIGCONT)
        assert end(sweeps) == [0] * 4, [each.read_text() for each in said]
        before = looks.value
        until(lambda now=looks, then=before, who=watcher: now.value > then or who.exitcode is not None)
        over.set()
        assert end([watcher]) == [0]
        texts = [each.read_text() for each in said]
        assert sum(text.count("record: ") for text in texts) == 3, "three were trained, by whomever"
        met = [text for text in texts if re.match("3 runs: (1 running, 2|3) waiting", text)]
        assert len(met) == 3, "three met the one at work, or about to begin"
        assert len(record.load_all(results, "night")) == 3


@pytest.mark.fault("kill -9 of a launch")
def test_what_a_dead_launch_has_not_done_is_done(cache, tmp_path, trials):
    """While it lives its cells are left alone; killed in its second run, it has done one, and begun one."""
    whole = tmp_path / "whole"
    assert end([begin(sweep, cache, whole, tmp_path / "said")]) == [0]
    expected = outcome(whole)
    for number in trials(full=10, quick=1):
        results, log, said = (tmp_path / f"{number}.{what}" for what in ("results", "log", "said"))
        first = begin(sweep, cache, results, said, stop_at_step, 3 + trials.random.randint(1, 3), log)
        owner = int(appear(log).split()[0])
        assert end([begin(sweep, cache, results, said)]) == [0]
        assert "3 runs: 1 finished, 1 running, 1 waiting\n" in said.read_text()
        os.kill(owner, signal.SIGKILL)
        assert end([first]) == [-signal.SIGKILL]
        assert end([begin(sweep, cache, results, said)]) == [0]
        assert "3 runs: 1 finished, 2 to do\n" in said.read_text()
        assert outcome(results) == expected


# --- records


def write_records(results: Path, barrier: Any, place: int, count: int) -> None:
    index.MOMENT = 0  # remember also what was written just now
    for number in range(count):
        found = make_record(seed=count * place + number)
        if number == 0:
            barrier.wait(60)
        record.write(found, results)
        if number % 10 == place:
            record.briefs(results, "demo")  # which writes the index


@pytest.mark.fault("four processes write records of one study")
def test_no_record_is_lost(tmp_path, monkeypatch, trials):
    """All are there and whole, and the index says of them what the files say."""
    monkeypatch.setattr(index, "MOMENT", 0)
    for number in trials(full=20, quick=1):
        results, barrier = tmp_path / str(number), FORKS.Barrier(4)
        writing = [begin(write_records, results, barrier, place, 50) for place in range(4)]
        assert end(writing) == [0] * 4
        assert sorted(found["seed"] for found in record.load_all(results, "demo")) == list(range(200))
        remembered = record.briefs(results, "demo")
        shutil.rmtree(results / "work/index")
        assert record.briefs(results, "demo") == remembered and len(remembered) == 200
        assert not list((results / "records").rglob("*.tmp"))
