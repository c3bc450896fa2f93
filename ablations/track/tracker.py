"""The numbers of a run while it runs: one JSON line per logged step, and a dashboard that mirrors the lines."""

import contextlib
import json
import math
import sys
from pathlib import Path
from typing import Any, Protocol, Self

from ablations.files import lies_at, names_file, write_text
from ablations.track.outcome import Outcome, outcome

FILE = "metrics.jsonl"
Line = dict[str, Any]  # what was logged at one step, with "step"


class Mirror(Protocol):
    """A dashboard that is shown what the file holds. Whatever it raises costs the run nothing but the dashboard."""

    name: str  # as a warning calls it

    def log(self, line: Line) -> None:
        """Take one line, without its nulls; a line that it has had before must not count twice."""
        ...

    def show(self, outcome: Outcome) -> None:
        """Take what is known at the end."""
        ...

    def close(self, failed: bool) -> None:
        """Send or write what is still waiting."""
        ...


class Tracker:
    """Appends to `<folder>/metrics.jsonl` and shows the same to a mirror, if there is one.

    The file is the truth: whatever happens to the mirror is said once and never stops training. `lines` are those of
    earlier attempts, for a mirror that lacks them. A file that somebody removes is there again with the next line.
    """

    def __init__(self, file: Path, mirror: Mirror | None = None, lines: list[Line] | None = None):
        self._path = file
        self._open()
        self._mirror = mirror
        for line in lines or []:
            self._to_mirror("log", _known(line))

    def log(self, step: int, numbers: dict[str, float | None]) -> None:
        """Log numbers of one step; what is not finite becomes null, which mirrors leave out.

        The line is with the operating system when this returns: a process killed later loses none of it. Log a step
        before its checkpoint is written: a run resumed there expects its line. Raises OSError naming the file where
        the disk is full.
        """
        plain = {name: value if value is None or math.isfinite(value) else None for name, value in numbers.items()}
        line = {"step": step, **plain}
        if not lies_at(self._file, self._path):
            self._write_again()
        with names_file(self._path):
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        self._to_mirror("log", _known(line))

    def show(self, record: dict[str, Any]) -> None:
        """Show the mirror what a record of a run that has come to its end says beyond its curve."""
        if self._mirror is not None:
            try:
                final = outcome(record)
            except Exception as error:
                self._lose(error)
            else:
                self._to_mirror("show", final)

    def _open(self) -> None:
        self._file = self._path.open("a+", encoding="utf-8", newline="\n")

    def _write_again(self) -> None:
        """A removed file can be read for as long as it is open."""
        self._file.seek(0)
        with self._file:
            write_text(self._path, self._file.read())
        self._open()

    def _to_mirror(self, method: str, *given: Any) -> None:
        if self._mirror is None:
            return
        try:
            getattr(self._mirror, method)(*given)
        except Exception as error:  # any fault: it is a mirror
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        assert self._mirror is not None
        name, self._mirror = self._mirror.name, None
        warn(f"{name} failed ({first_line(error)}): it gets no more numbers of this run, {FILE} has them all")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with contextlib.suppress(OSError):  # of a full disk, which has been told: every line is flushed when logged
            self._file.close()
        self._to_mirror("close", kind is not None)


def cut(file: Path, step: int) -> tuple[list[Line], int]:
    """Keep the lines up to a step, nothing for step 0; a last line that a kill cut short goes too.

    Gives the lines that stay, and the last step that was there before.
    """
    if not file.exists():
        return [], 0
    found = []
    for text in file.read_text(encoding="utf-8").splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if text.endswith("\n"):
                found.append((text, json.loads(text)))
    kept = [(text, line) for text, line in found if step and line["step"] <= step]
    write_text(file, "".join(text for text, _ in kept))
    return [line for _, line in kept], max((line["step"] for _, line in found), default=0)


def _known(line: Line) -> Line:
    return {name: value for name, value in line.items() if value is not None}


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def warn(sentence: str) -> None:
    """Say what did not work, on stderr."""
    print(f"warning: {sentence}", file=sys.stderr)
