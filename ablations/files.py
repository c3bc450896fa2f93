"""Files that are whole or absent, whenever the process or the machine stops."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from data.owner import abandoned, own_path

CONF = Path(__file__).resolve().parent.parent / "conf"  # every choice, as YAML; here for who reads it without Hydra


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A new file to write beside `path`, flushed to the disk and renamed to it at the end; on any error removed.

    An OSError names `path`, also where the disk is full, of which Python does not say where.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = own_path(path.parent, path.name, ".tmp")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with names_file(path), temporary.open(mode, encoding=encoding, newline=newline) as file:
            try:
                yield file
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # torch.save ends its archive all the same, and breaks there
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except FileNotFoundError as error:
        if error.filename != str(temporary):
            raise
        raise FileNotFoundError(errno.ENOENT, "its folder was removed while it was written", str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def torn(folder: Path) -> list[Path]:
    """What `whole_file` has begun there and nobody ends, by the rule of `data.owner`."""
    found = []
    for path in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # it has just been ended
            if abandoned(path):
                found.append(path)
    return found


@contextmanager
def names_file(path: Path) -> Iterator[None]:
    """An OSError that names no file names this one: `write` and `fsync` say what is wrong, and not where."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one piece."""
    with whole_file(path) as file:
        file.write(text)


def read_yaml(file: Path) -> Any:
    """What a YAML file holds, read in C, where PyYAML has it: nine times as fast. Raises yaml.YAMLError."""
    import yaml

    text = file.read_text(encoding="utf-8")
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return yaml.safe_load(text)  # refuses it too, and knows the line


def check_writable(folder: Path) -> None:
    """Raises ValueError where a folder, or the nearest one above it that is there, takes no new files; makes none."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} takes no files: make it writable, or write elsewhere with paths.results=FOLDER")


def lies_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file is the one at `path`: it may have been removed or moved since, and be written to in vain."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class Lock:
    """The lock of a file, which is made if need be, while in a `with`; `held` says whether we have it. It dies with us.

    A lock is of the file and not of its path: where the file is removed, somebody else can make and lock another.
    """

    def __init__(self, path: Path):
        self.path, self.held = path, False

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a")
        self.held = _take(self._file, fcntl.LOCK_EX)
        for _ in range(20):
            if self.held:
                break
            time.sleep(0.1)  # it may be somebody who only looks
            self.held = _take(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    @property
    def lost(self) -> bool:
        """Whether the file is no longer there, or is another one."""
        return not lies_at(self._file, self.path)

    def take_again(self) -> bool:
        """Locks the file that is there now, made if need be; whether we have it."""
        self.__exit__()
        return self.__enter__().held


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Holds the lock of a file, made if need be; gives False where another process has it. The lock dies with us."""
    with Lock(file) as lock:
        yield lock.held


def is_locked(file: Path) -> bool:
    """Whether some process holds the lock of this file."""
    try:
        with file.open("rb") as looked_at:
            return not _take(looked_at, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _take(file: IO[Any], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks cannot tell; SLURM's own list of jobs still does
        return True
    return True
