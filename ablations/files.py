"""Files that are whole or absent, whenever the process or the machine stops."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

CONF = Path(__file__).resolve().parent.parent / "conf"  # every choice, as YAML; here for who reads it without Hydra


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A new file to write beside `path`, flushed to the disk and renamed to it at the end; on any error removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    try:
        with temporary.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Holds the lock of a file, made if need be; gives False where another process has it. The lock dies with us."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as held:
        got = _take(held, fcntl.LOCK_EX)
        for _ in range(20):
            if got:
                break
            time.sleep(0.1)  # it may be somebody who only looks
            got = _take(held, fcntl.LOCK_EX)
        yield got


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
