"""A disk that is full, read-only or swept: one sentence, nothing older harmed, and whoever asks again ends the same."""

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from ablations import learner, record, writers
from ablations.compose import CONF
from ablations.files import is_locked
from ablations.record import index
from ablations.sweep.cell import Attempted, attempt
from ablations.sweep.plan import plan
from data.prepare import prepare
from tests.ablations.cells import asked
from tests.ablations.make import make_record
from tests.faults.commands import at_call, at_open, done, refusal
from tests.faults.processes import outcome

ROOT = CONF.parent
PAGE = 4096  # what a tmpfs hands out
OPENED = 12  # times that a run opens a file to write: the last one is its record
WORDS = (
    "trainer.steps=12",
    "trainer.checkpoint_every=4",
    "trainer.eval_every=6",
    "trainer.log_every=2",
    "trainer.select=best",
    "model.dropout=0.2",
)
LAST = (*WORDS[:-2], "model.dropout=0.2")  # no best weights, which a removed folder takes with it


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def undisturbed(cache, tmp_path_factory):
    """What the runs leave: with the best weights, and with the last."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for name, options in (("best", WORDS), ("last", LAST)):
        assert done(asked(cache, folder / name, *options), folder / "said") == 0, (folder / "said").read_text()
    return {name: outcome(folder / name) for name in ("best", "last")}


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, pages: int) -> None:
    """Leaves room for so many pages."""
    ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    free = os.statvfs(disk).f_bavail
    os.posix_fallocate(ballast, 0, (free - pages) * PAGE)
    os.close(ballast)


def fill_at(number: int, under: Path, disk: Path, pages: int) -> None:
    at_open(number, under, partial(fill, disk, pages))


def limit(most: int) -> None:
    """Python ignores the signal, so that a write of more bytes into one file is refused like one on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def older(results: Path) -> dict[str, bytes]:
    """Records and tables of other runs."""
    for seed in (0, 1):
        record.write(make_record(seed=seed, study="older"), results)
    writers.write(results, "older")
    return everything(results)


def check_whole(results: Path, before: dict[str, bytes]) -> None:
    """No half file under a final name, nothing beside them, and what was there is there."""
    now = everything(results)
    assert {name: now.get(name) for name in before} == before
    for name, content in now.items():
        assert not name.endswith(".tmp"), name
        if name.endswith(".json"):
            json.loads(content)
        if name.endswith(".pt"):
            torch.load(results / name, weights_only=True)


@pytest.mark.fault("disk full while a run trains, is scored and recorded")
def test_full_at_any_write(cache, undisturbed, disk, tmp_path, trials):
    """It fills up before any of the files is opened, and leaves room for none, some or most of that file."""
    said, named = tmp_path / "said", set()
    for number in trials(full=80, quick=4):
        results = disk / "results"
        before = older(results)
        words = asked(cache, results, *WORDS)
        place = trials.random.randint(1, OPENED) if trials.full else (2, 3, 7, OPENED)[number]
        pages = trials.random.choice((0, 0, 1, 2, 10, 40)) if trials.full else 0
        code = done(words, said, partial(fill_at, place, results, disk, pages))
        (disk / "ballast").unlink()
        if code == 0:
            assert pages, "without room nothing is written"
        else:
            assert code == 1, said.read_text()
            told = refusal(said)
            assert told.startswith(f"No space left on device: {results}/"), told
            assert told.endswith(": make room there and ask again, a run goes on from its checkpoint")
            named.add(told.split(": ")[1].rpartition("/")[2].partition("-")[0])
            check_whole(results, before)
            assert done(words, said) == 0, said.read_text()
        check_whole(results, before)
        shutil.rmtree(results / "records" / "older")
        assert outcome(results) == undisturbed["best"]
        shutil.rmtree(results)
    assert named >= {"metrics.jsonl", "checkpoint", "best", "reverse"}, named


@pytest.mark.fault("disk full while a run trains, is scored and recorded")
def test_files_may_not_grow(cache, undisturbed, tmp_path, trials):
    """As under a quota: the write itself is refused, in the middle of the file."""
    said = tmp_path / "said"
    for number in trials(full=30, quick=2):
        results = tmp_path / str(number)
        before = older(results)
        words = asked(cache, results, *WORDS)
        # The curve has some 900 bytes; what is printed goes into a file as well, and must fit.
        most = trials.random.choice((trials.random.randrange(500, 800), trials.random.randrange(1000, 90_000)))
        assert done(words, said, partial(limit, most)) == 1, said.read_text()
        told = refusal(said)
        assert told.startswith(f"File too large: {results}/work/"), told
        check_whole(results, before)
        assert done(words, said) == 0, said.read_text()
        check_whole(results, before)
        shutil.rmtree(results / "records" / "older")
        assert outcome(results) == undisturbed["best"]


@pytest.mark.fault("disk full while a run trains, is scored and recorded")
def test_the_command_line_says_so(cache, disk):
    """Of a sweep as well: no run of it can be kept, and the first sentence is not lost."""
    fill(disk, 30)
    words = asked(cache, disk / "results", *WORDS, "seed=0,1")
    ended = subprocess.run([sys.executable, "train.py", "-m", *words], cwd=ROOT, capture_output=True, text=True)
    told = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert len(told) == 3 and all("No space left on device: " in line for line in told[:2]), ended.stderr
    assert "make room there and ask again" in told[0] and told[2] == "error: 2 of 2 runs failed, as told above"


@pytest.mark.fault("disk full while a run trains, is scored and recorded")
def test_the_first_thing_refused_is_what_is_told(cache, disk, capsys):
    """Neither the record that a run failed nor the note of it can be written, and the next cell has its turn."""
    torch.set_num_threads(1)
    cells = plan(asked(cache, disk / "results", *LAST, "seed=0,1"))
    prepare(cells[0].config.task, None, str(cache))
    (disk / "results").mkdir()
    fill(disk, 0)
    runs = [Attempted(cell.folder, cell.config, cell.overrides, {}) for cell in cells]
    failures = attempt(runs)
    assert [failure.filename for failure in failures] == [str(cell.folder / "metrics.jsonl") for cell in cells]
    assert capsys.readouterr().err.count("warning: that the run failed is not on record (No space left on device") == 2


@pytest.mark.fault("disk full while text is prepared")
def test_full_while_text_is_prepared(undisturbed, disk, tmp_path, trials):
    said, refused = tmp_path / "said", 0
    for number in trials(full=40, quick=3):
        cache, results = disk / "cache", tmp_path / str(number)
        words = asked(cache, results, *LAST)
        place = trials.random.randint(1, 20) if trials.full else 1 + 6 * number
        pages = trials.random.choice((0, 0, 1, 2)) if trials.full else 0
        code = done(words, said, partial(fill_at, place, cache, disk, pages))
        (disk / "ballast").unlink(missing_ok=True)  # the last places are beyond the last file
        if code != 0:
            assert code == 1, said.read_text()
            refused += 1
            told = refusal(said)
            assert "No space left on device" in told and f": {cache}" in told and "make room there" in told
            assert not list(cache.glob("*/*/*/manifest.json"))
            assert not results.exists(), "refused before any training"
            assert done(words, said) == 0, said.read_text()
        assert outcome(results) == undisturbed["last"]
        assert not list(cache.glob("*/*/.*building*")) and not list(cache.rglob("*.tmp"))
        shutil.rmtree(cache)
    assert refused >= 2


@pytest.mark.fault("disk full while tables and their index are written")
def test_full_while_tables_are_written(disk, monkeypatch):
    """The index is a help, and goes without; tables keep their last whole state."""
    monkeypatch.setattr(index, "MOMENT", -(10**18))  # it waits for files to be seconds old
    results = disk / "results"
    before = older(results)
    shutil.rmtree(results / "work")
    for seed in range(2, 30):
        record.write(make_record(seed=seed, study="older"), results)
    fill(disk, 0)
    ended = subprocess.run(
        [sys.executable, "scripts/tables.py", "--results", results], cwd=ROOT, capture_output=True, text=True
    )
    told = ended.stderr.splitlines()
    assert ended.returncode == 1 and len(told) == 1
    assert told[0].startswith(f"error: No space left on device: {results}/tables/older.")
    assert len(record.briefs(results, "older")) == 30
    check_whole(results, {name: text for name, text in before.items() if not name.startswith("work/")})
    assert not (results / "work" / "index" / "older").exists()
    (disk / "ballast").unlink()
    writers.write(results, "older")
    assert everything(results)["tables/older.md"] != before["tables/older.md"]
    assert (results / "work" / "index" / "older").exists()


@pytest.mark.fault("read-only results folder")
def test_read_only_results_are_refused_before_any_training(disk, tmp_path):
    """Before the text is prepared, which may take an hour. What is finished is answered all the same."""
    said, results = tmp_path / "said", disk / "results"
    words = asked(tmp_path / "cache", results, *LAST)
    older(results)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = everything(disk)
    assert done(words, said, partial(at_call, 1, learner.Alone, "step", partial(os._exit, 77))) == 1
    assert refusal(said).startswith(f"{results} takes no files: make it writable, or write elsewhere with paths")
    assert not (tmp_path / "cache").exists()
    sweep = subprocess.run([sys.executable, "train.py", "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert sweep.returncode == 1 and "Traceback" not in sweep.stderr
    assert sweep.stderr.startswith(f"error: Read-only file system: {results}/work: make it writable")
    assert everything(disk) == before
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert done(words, said) == 0
    [work] = (results / "work").glob("*/model.pt")
    work.with_name("checkpoint-1.pt").write_text("left by a kill")  # which nobody can tidy up now
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert done(words, said) == 0 and "not trained again" in said.read_text()


def take(results: Path, held: list) -> None:
    """Somebody removes a run's folder, and another process begins the run."""
    [folder] = results.glob("work/*")
    shutil.rmtree(folder)
    folder.mkdir()
    held.append((folder / "lock").open("a"))
    fcntl.flock(held[0], fcntl.LOCK_EX)


def look(results: Path) -> None:
    """Whether another process would be kept away."""
    [lock] = results.glob("work/*/lock")
    if not is_locked(lock):
        os._exit(78)


def remove(results: Path, what: str) -> None:
    [folder] = results.glob("work/*") if what == "the run's" else [results]
    folder.rename(results.with_name("moved")) if what == "moved" else shutil.rmtree(folder)


def remove_at(step: int, results: Path, what: str) -> None:
    at_call(step, learner.Alone, "step", partial(remove, results, what))
    at_call(step + 2, learner.Alone, "step", partial(look, results))  # a line of the curve later


@pytest.mark.fault("results folder removed while a run trains")
@pytest.mark.parametrize("what", ["the run's", "all", "moved"])
def test_removed_between_two_steps(cache, undisturbed, tmp_path, trials, what):
    """The run goes on as if nothing had happened, its curve whole, its lock in the new folder."""
    said = tmp_path / "said"
    for number in trials(full=10, quick=1):
        results = tmp_path / str(number) / "results"
        before = {} if what != "the run's" else older(results)
        step = trials.random.randint(1, 10)
        words = asked(cache, results, *LAST)
        assert done(words, said, partial(remove_at, step, results, what)) == 0, said.read_text()
        assert said.read_text().count("warning: ") == 1
        assert "was removed while its run is trained: made again, and the run goes on" in said.read_text()
        check_whole(results, before)
        shutil.rmtree(results / "records" / "older", ignore_errors=True)
        assert outcome(results) == undisturbed["last"]


@pytest.mark.fault("results folder removed while a run trains")
def test_removed_in_the_middle_of_a_write(cache, undisturbed, tmp_path, trials):
    """The run goes on, or says in a sentence what happened, and does it all again when asked again."""
    said, ends = tmp_path / "said", set()
    for number in trials(full=40, quick=3):
        results = tmp_path / str(number)
        before = older(results)
        words = asked(cache, results, *LAST)
        place = trials.random.randint(1, OPENED - 2) if trials.full else 4 + 3 * number
        code = done(words, said, partial(at_open, place, results, partial(remove, results, "the run's")))
        if code != 0:
            assert code == 1 and f": {results}/work/" in refusal(said) and "removed" in refusal(said), said.read_text()
            check_whole(results, before)
            assert done(words, said) == 0, said.read_text()
        ends.add(code)
        check_whole(results, before)
        shutil.rmtree(results / "records" / "older")
        if len(list(results.glob("work/*/m*"))) == 2:
            assert outcome(results) == undisturbed["last"]
        else:  # removed after the last line of the curve: what is on record stands
            [entry] = record.load_all(results)
            assert entry["scores"] == undisturbed["last"][0]["record"]["scores"]
    assert ends == {0, 1} or not trials.full


@pytest.mark.fault("results folder removed while a run trains")
def test_who_lost_the_folder_to_another_process_leaves_it_alone(cache, tmp_path):
    said, results = tmp_path / "said", tmp_path / "results"
    words = asked(cache, results, *LAST)
    assert done(words, said, partial(at_call, 5, learner.Alone, "step", partial(take, results, []))) == 1
    assert "was removed while its run was trained, and another process trains it by now" in refusal(said)
    [folder] = results.glob("work/*")
    assert [file.name for file in folder.iterdir()] == ["lock"], "it wrote nothing more"
