"""What lies on disk is whole, is this run's, and is what was written; else one sentence names the file."""

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
    refused(saved, "cannot be read")


def test_a_flipped_bit_is_refused(saved: Path):
    """`torch.load` alone takes altered numbers for weights without a word."""
    whole = bytearray(saved.read_bytes())
    inside = whole.index(torch.arange(1000.0, 1010.0).numpy().tobytes())
    whole[inside + 5] ^= 16
    saved.write_bytes(whole)
    refused(saved, "cannot be read")


def test_another_run_and_another_format_are_refused(saved: Path, monkeypatch):
    refused(saved, "another run or version", signature="b" * 16)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    refused(saved, "another run or version")


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {}}, [1, 2]], ids=["tensor", "bare", "list"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    refused(tmp_path / "checkpoint.pt", "another run or version")


class Trap:
    """Pickled, it would run code where it is read."""

    def __reduce__(self):
        return print, ("executed",)


def test_reading_executes_nothing(tmp_path: Path, capsys):
    torch.save({"format": checkpoint.FORMAT, "signature": "a" * 16, "model": Trap()}, tmp_path / "checkpoint.pt")
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
