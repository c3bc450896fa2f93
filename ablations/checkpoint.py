"""The state of an unfinished run on disk: written whole or not at all, checked and read without executing anything.

A file is what `torch.save` writes and a last line with the SHA-256 of that, because `torch.load` takes altered numbers
for weights without a word. A run's folder keeps its newest two checkpoints, so that one which the disk has damaged
costs the steps since the one before it, and not the run.
"""

import hashlib
import re
import sys
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import torch

from ablations.files import torn, whole_file

FORMAT = 3
KEPT = 2
REPLACES = "replaces"  # a file of a run that is trained again: when the record was finished that it will replace
BLOCK = 1 << 20  # bytes
ARCHIVE = b"PK\x03\x04"  # how a zip file begins


class UnusableError(ValueError):
    """A file that is damaged, or belongs to another run or version; the message says which file and why."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside `path`, flushes to the disk, then renames: a kill at any moment leaves the old file or the new."""
    with whole_file(path, "wb") as file:
        summed = _Summed(file)
        torch.save(
            {"format": FORMAT, **state}, cast(IO[bytes], summed)
        )  # which `write` and `flush` are all it needs of
        file.write(_last_line(summed.digest))


def load(path: Path, signature: str) -> dict[str, Any] | None:
    """The state saved under `path`, None when there is none. Refuses what is damaged or of another run or format."""
    try:
        return _read(path, signature)
    except FileNotFoundError:
        return None
    except UnusableError as error:
        raise ValueError(f"{error}: delete it and train the run anew, with rerun=true where it is on record") from error


def save_step(folder: Path, step: int, state: dict[str, Any]) -> None:
    """A checkpoint of a run, beside the one before it; older ones go, and best weights that neither of them knows."""
    save(folder / f"checkpoint-{step}.pt", state)
    for old in [*_newest_first(folder)[KEPT:], *_newest_first(folder, "best")[KEPT:]]:
        old.unlink(missing_ok=True)


def best(folder: Path, step: int) -> Path:
    """Where weights lie that had the lowest validation loss, that of this step; written before its checkpoint."""
    return folder / f"best-{step}.pt"


def newest(folder: Path, signature: str) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a run that can be used, and where it lies; None where there are no checkpoints.

    Newer ones that cannot be used are named on stderr and set aside, ending in `.unusable`; best weights of steps that
    are yet to come go. Raises ValueError where there are checkpoints and none can be used: a run never starts anew by
    itself.
    """
    refused: dict[Path, UnusableError] = {}
    for path in _newest_first(folder):
        try:
            state = _read(path, signature)
        except UnusableError as error:
            refused[path] = error
            continue
        for worse, error in refused.items():
            worse.rename(worse.with_name(f"{worse.name}.unusable"))
            print(f"warning: {error}: the run goes on from {path.name} before it", file=sys.stderr, flush=True)
        for early in _newest_first(folder, "best"):
            if _step(early) > _step(path):
                early.unlink()
        return path, state
    if refused:
        first = next(iter(refused.values()))
        raise ValueError(f"{first}, and no checkpoint before it can be used: delete {folder} to start the run anew")
    return None


def clear(folder: Path) -> None:
    """Removes what only an unfinished run needs."""
    for file in unfinished(folder):
        file.unlink(missing_ok=True)  # where there are no locks somebody else may tidy up, too


def unfinished(folder: Path) -> list[Path]:
    """What a run has left there that has not come to its end, or was killed before it could tidy up."""
    return [*folder.glob("checkpoint*.pt*"), *folder.glob("best*.pt"), *folder.glob(REPLACES), *torn(folder)]


def _newest_first(folder: Path, kind: str = "checkpoint") -> list[Path]:
    """By the steps in their names: a clock may have been set back between two of them."""
    return sorted(folder.glob(f"{kind}*.pt"), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(number[1]) if (number := re.fullmatch(r"\w+-(\d+)\.pt", path.name)) else -1


def _read(path: Path, signature: str) -> dict[str, Any]:
    with path.open("rb") as file:
        if not _sound(file):
            raise UnusableError(f"{path} is damaged, its checksum does not fit")
        file.seek(0)
        try:
            if file.read(len(ARCHIVE)) != ARCHIVE:  # torch would read it as what it wrote before 1.6, at any length
                raise zipfile.BadZipFile
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a pickle that is not as torch writes it
                state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            if isinstance(error, OSError | MemoryError) or "can't allocate memory" in str(error):
                raise  # the file may be as good as ever
            raise UnusableError(f"{path} cannot be read ({type(error).__name__})") from error
    if not isinstance(state, dict) or (state.get("format"), state.get("signature")) != (FORMAT, signature):
        raise UnusableError(f"{path} belongs to another run or version")
    return state


def _sound(file: IO[bytes]) -> bool:
    """Whether the last line is the digest of all before it."""
    left = file.seek(0, 2) - len(_last_line(""))
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (block := file.read(min(left, BLOCK))):
        digest.update(block)
        left -= len(block)
    return file.read() == _last_line(digest.hexdigest())


def _last_line(digest: str) -> bytes:
    return f"\nsha256 {digest:64}\n".encode()


class _Summed:
    """A file that `torch.save` writes to from front to end, and the digest of what was written."""

    def __init__(self, file: IO[bytes]):
        self._file, self._digest = file, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
