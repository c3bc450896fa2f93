"""A checkpoint that is not what was written is named, and the one before it used; the outcome is the same."""

import pickle
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ablations import checkpoint, record
from tests.ablations.cells import asked
from tests.faults.processes import finish, outcome

WORDS = (
    "trainer.steps=12",
    "trainer.checkpoint_every=4",
    "trainer.eval_every=12",
    "trainer.log_every=2",
    "model.dropout=0.2",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert finish(asked(cache, folder / "results", *WORDS), said=folder / "said") == 0
    return outcome(folder / "results")


@pytest.fixture(scope="module")
def two(cache, whole, tmp_path_factory):
    """The files of a run that was killed when it had saved steps 4 and 8: name -> content."""
    folder = tmp_path_factory.mktemp("two")
    words = asked(cache, folder / "results", *WORDS)
    assert finish(words, said=folder / "said", die_at="checkpoint-12.pt") == -signal.SIGKILL
    [work] = (folder / "results" / "work").glob("*/")
    files = {file.name: file.read_bytes() for file in work.iterdir()}
    assert {"checkpoint-4.pt", "checkpoint-8.pt"} == {name for name in files if name.startswith("checkpoint")}
    return work.name, files


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path(BOMBED),)


BOMBED = "bombed"


def sealed(write: Callable[[Path], None]) -> Callable[[Path], None]:
    """Writes a file that is something else, with a checksum that fits."""

    def replace(path: Path) -> None:
        write(path)
        with path.open("rb") as file:
            content = file.read()
        path.write_bytes(content + f"\nsha256 {checkpoint.hashlib.sha256(content).hexdigest()}\n".encode())

    return replace


def cut(tenths: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * tenths // 10])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(8192) + content[4096 + 8192 :])


def of(change: dict) -> Callable[[Path], None]:
    """The same file saved with other values."""

    def save(path: Path) -> None:
        checkpoint.save(path, {**torch.load(path, weights_only=True), **change})

    return save


def older(path: Path) -> None:
    """As an earlier version would have written it."""
    state = torch.load(path, weights_only=True)
    torch.save({**state, "format": checkpoint.FORMAT - 1}, path)


def plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"format": checkpoint.FORMAT, "model": Bomb()}))


def zipped_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")


DAMAGES = {
    **{f"cut to {tenths} tenths": cut(tenths) for tenths in range(10)},
    "one byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one byte long": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "a flipped bit": flipped,
    "zeros in the middle": zeroed,
    "of another signature": of({"signature": "0" * 16}),
    "of a later version": of({"format": checkpoint.FORMAT + 1}),
    "of an earlier version": older,
    "text": lambda path: path.write_text("<html>Quota exceeded</html>"),
    "nothing but a checksum": sealed(lambda path: path.write_bytes(b"")),
    "a tensor": sealed(lambda path: torch.save(torch.zeros(3), path)),
    "a pickle that runs code": sealed(plain_pickle),
    "a checkpoint that runs code": sealed(zipped_pickle),
}


@pytest.mark.fault("checkpoint damaged, of another run, of another version, hostile")
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_used(damage, cache, two, whole, trials, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name, files = two
    work = tmp_path / "results" / "work" / name
    work.mkdir(parents=True)
    for file, content in files.items():
        (work / file).write_bytes(content)
    DAMAGES[damage](work / "checkpoint-8.pt")
    if trials.full or damage in ("a flipped bit", "of another signature"):
        assert finish(asked(cache, tmp_path / "results", *WORDS), said=tmp_path / "said") == 0
        assert outcome(tmp_path / "results") == whole
        told = (tmp_path / "said").read_text()
    else:
        path, state = checkpoint.newest(work, name)
        assert (path.name, state["state"]["step"]) == ("checkpoint-4.pt", 4)
        told = capsys.readouterr().err
    assert f"warning: {work}/checkpoint-8.pt " in told and "the run goes on from checkpoint-4.pt before it" in told
    assert not (tmp_path / BOMBED).exists()


@pytest.mark.fault("every checkpoint of a run damaged")
def test_a_run_never_starts_anew_by_itself(cache, two, tmp_path):
    name, files = two
    work = tmp_path / "results" / "work" / name
    work.mkdir(parents=True)
    for file, content in files.items():
        (work / file).write_bytes(content[:1000] if file.endswith(".pt") else content)
    left = {file.name: file.read_bytes() for file in work.glob("*.pt")}
    for _ in range(2):
        assert finish(asked(cache, tmp_path / "results", *WORDS), said=tmp_path / "said") == 1
        told = (tmp_path / "said").read_text().splitlines()[-1]
        assert (
            told.startswith(f"error: {work}/checkpoint-8.pt is damaged")
            and f"delete {work} to start the run anew" in told
        )
        assert {file.name: file.read_bytes() for file in work.glob("*.pt")} == left
    assert not list((tmp_path / "results").rglob("*.json"))


@pytest.mark.fault("weights of the best validation missing or damaged")
@pytest.mark.parametrize("wrong", ["missing", "damaged"])
def test_the_best_weights_are_those_of_the_best_step(wrong, cache, tmp_path):
    """A number of other weights must not stand for them."""
    words = asked(cache, tmp_path / "results", *WORDS, "trainer.select=best", "trainer.eval_every=4")
    said = tmp_path / "said"
    assert finish(words, said=said, die_at="model.pt") == -signal.SIGKILL  # all steps are made
    [work] = tmp_path.glob("results/work/*/")
    best_step = checkpoint.newest(work, work.name)[1]["state"]["best_step"]
    if wrong == "missing":
        checkpoint.best(work, best_step).unlink()
    else:
        flipped(checkpoint.best(work, best_step))
    assert finish(words, said=said) == 1
    assert f"best-{best_step}.pt is " in said.read_text().splitlines()[-1]
    [failed] = tmp_path.glob("results/records/*/*.json")
    assert '"status": "failed"' in failed.read_text()


@pytest.mark.fault("kill -9 between best weights and their checkpoint, validated otherwise the second time")
def test_best_weights_of_a_step_that_came_otherwise(cache, tmp_path):
    """As on a GPU, or with other threads: what was best before the kill need not be so after it."""
    words = asked(cache, tmp_path / "results", *WORDS, "trainer.select=best", "trainer.eval_every=4", "optim.lr=0.0001")
    said = tmp_path / "said"
    assert finish(words, said=said, die_at="checkpoint-8.pt") == -signal.SIGKILL
    [work] = tmp_path.glob("results/work/*/")
    assert {file.name for file in work.glob("best*")} == {"best-4.pt", "best-8.pt"}
    state = checkpoint.newest(work, work.name)[1]
    state["state"]["best_nll"] = 0.0  # nothing later is better
    checkpoint.save(work / "checkpoint-4.pt", state)
    assert finish(words, said=said) == 0, said.read_text()
    [found] = record.load_all(tmp_path / "results")
    assert found["training"]["selected_step"] == 4
