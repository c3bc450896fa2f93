"""What lies on disk is whole, is this run's, and is what was written; else one sentence names the file."""

import hashlib
import re
from pathlib import Path

import pytest
import torch

from ablations import checkpoint, files

STATE = {"signature": "a" * 16, "model": {"weight": torch.arange(4096.0)}, "step": 7}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "checkpoint.pt"
    checkpoint.save(path, STATE)
    return path


def refused(path: Path, words: str, signature: str = "a" * 16) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} .*{words}.*: delete it") as refusal:
        checkpoint.load(path, signature)
    assert "\n" not in str(refusal.value)


def sealed(path: Path) -> None:
    """With a checksum that fits, whatever is in it."""
    content = path.read_bytes()
    path.write_bytes(content + f"\nsha256 {hashlib.sha256(content).hexdigest()}\n".encode())


def test_what_was_saved_is_loaded(saved: Path):
    state = checkpoint.load(saved, "a" * 16)
    assert state is not None and state["step"] == 7
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])
    assert [file.name for file in saved.parent.iterdir()] == ["checkpoint.pt"], "no temporary file is left"


def test_no_file_is_no_state(tmp_path: Path):
    assert checkpoint.load(tmp_path / "checkpoint.pt", "a" * 16) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(saved: Path, share: float):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    refused(saved, "is damaged")


def test_a_flipped_bit_is_refused(saved: Path):
    """`torch.load` alone takes altered numbers for weights without a word."""
    whole = bytearray(saved.read_bytes())
    inside = whole.index(torch.arange(1000.0, 1010.0).numpy().tobytes())
    whole[inside + 5] ^= 16
    saved.write_bytes(whole)
    refused(saved, "is damaged")


def test_another_run_and_another_format_are_refused(saved: Path, monkeypatch):
    refused(saved, "another run or version", signature="b" * 16)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    refused(saved, "another run or version")


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {}}, [1, 2]], ids=["tensor", "bare", "list"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    refused(tmp_path / "checkpoint.pt", "is damaged")
    sealed(tmp_path / "checkpoint.pt")
    refused(tmp_path / "checkpoint.pt", "another run or version")


class Trap:
    """Pickled, it would run code where it is read."""

    def __reduce__(self):
        return print, ("executed",)


def test_reading_executes_nothing(tmp_path: Path, capsys):
    checkpoint.save(tmp_path / "checkpoint.pt", {"signature": "a" * 16, "model": Trap()})
    refused(tmp_path / "checkpoint.pt", "cannot be read")
    assert capsys.readouterr().out == ""


def test_a_save_that_fails_leaves_the_old_file_and_no_litter(saved: Path, monkeypatch):
    old = saved.read_bytes()

    def full_disk(state, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(saved, {**STATE, "step": 8})
    assert saved.read_bytes() == old
    assert [file.name for file in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_the_file_is_on_the_disk_before_it_takes_the_name(saved: Path, monkeypatch):
    """A rename that reaches the disk before the bytes do would leave an empty file after a power cut."""
    done = []
    fsync, replace = files.os.fsync, Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda file: done.append("flushed") or fsync(file))
    monkeypatch.setattr(Path, "replace", lambda a, b: done.append("renamed") or replace(a, b))
    checkpoint.save(saved, STATE)
    assert done == ["flushed", "renamed"]


def test_the_newest_two_are_kept(tmp_path: Path):
    for step in (5, 10, 9, 100):  # by number, and 9 was saved last but one
        checkpoint.save_step(tmp_path, step, {**STATE, "step": step})
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint-100.pt", "checkpoint-10.pt"}
    path, state = checkpoint.newest(tmp_path, "a" * 16)
    assert (path.name, state["step"]) == ("checkpoint-100.pt", 100)


def test_what_cannot_be_used_is_set_aside_and_the_one_before_it_used(tmp_path: Path, capsys):
    for step in (5, 10):
        checkpoint.save_step(tmp_path, step, {**STATE, "step": step})
    (tmp_path / "checkpoint-10.pt").write_bytes(b"damaged")
    path, state = checkpoint.newest(tmp_path, "a" * 16)
    assert (path.name, state["step"]) == ("checkpoint-5.pt", 5)
    assert capsys.readouterr().err == (
        f"warning: {tmp_path}/checkpoint-10.pt is damaged, its checksum does not fit: "
        "the run goes on from checkpoint-5.pt before it\n"
    )
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint-5.pt", "checkpoint-10.pt.unusable"}
    checkpoint.clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_best_weights_are_kept_as_long_as_a_checkpoint_may_name_them(tmp_path: Path):
    for step in (5, 10, 15):
        checkpoint.save(checkpoint.best(tmp_path, step), STATE)
        checkpoint.save_step(tmp_path, step, {**STATE, "step": step})
    checkpoint.save(checkpoint.best(tmp_path, 20), STATE)  # and killed before the checkpoint of step 20
    assert {file.name for file in tmp_path.glob("best*")} == {"best-10.pt", "best-15.pt", "best-20.pt"}
    checkpoint.newest(tmp_path, "a" * 16)
    assert {file.name for file in tmp_path.glob("best*")} == {"best-10.pt", "best-15.pt"}, "step 20 is yet to come"


def test_a_run_never_starts_anew_by_itself(tmp_path: Path):
    for step in (5, 10):
        checkpoint.save_step(tmp_path, step, {**STATE, "step": step})
        (tmp_path / f"checkpoint-{step}.pt").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(
            ValueError, match=f"checkpoint-10.pt is damaged.*no checkpoint before it.*delete {tmp_path}"
        ):
            checkpoint.newest(tmp_path, "a" * 16)
    assert checkpoint.newest(tmp_path / "nothing", "a" * 16) is None


def test_a_lack_of_memory_is_no_damage(saved: Path, monkeypatch):
    def load(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 16 bytes")

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(RuntimeError, match="allocate"):
        checkpoint.newest(saved.parent, "a" * 16)
    assert saved.exists()
