"""What may happen while a strange input is read: nothing but an answer or a refusal in one sentence."""

import os
import resource
import signal
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable
from pathlib import Path

from ablations.sentences import sentence

PATIENCE = 5.0  # seconds of computing for one input
LONGEST = 30.0  # then the process is killed, which may be far from any Python
MEMORY = 1 << 30  # bytes beyond what the process has when it begins
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of CPython's audit hooks (PEP 578): the places of the paths among their arguments.
MOVES = {
    **dict.fromkeys(
        ("os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "shutil.rmtree"), (0,)
    ),
    **dict.fromkeys(("os.link", "os.symlink", "shutil.move"), (1,)),
    "os.rename": (0, 1),
}
ACTS = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill", "os.putenv"),
    *("subprocess.Popen", "socket.connect", "socket.bind", "ctypes.dlopen", "pty.spawn", "webbrowser.open"),
)


class Lost(BaseException):  # noqa: N818
    """The promise was broken. No Exception, so that nothing which is tested takes it for a mistake of its own."""


class Watched:
    """Calls what reads inputs, and raises `Lost` unless it is as promised. For a process of its own: hooks stay.

    `folder`: the only place where it may write.
    """

    def __init__(self, folder: Path):
        self._folder = str(folder.resolve())
        self._did: list[str] = []
        self._on = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._usual = os.dup(1), os.dup(2)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
        warnings.showwarning = lambda message, *_: self._did.append(f"warned {message}")
        signal.signal(signal.SIGVTALRM, _too_long)
        sys.addaudithook(self._hear)

    def limit_memory(self) -> None:
        """Once all is loaded that inputs need."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        bound = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))

    def __call__(self, read: Callable[[], object], again: bool = False) -> bool:
        """Whether it was accepted."""
        self._begin()
        refusal = None
        try:
            read()
        except Exception as error:
            refusal = error
        finally:
            self._end()
        if refusal is not None:
            self._judge(refusal)
        if self._did and not again and all(act.startswith("exec ") for act in self._did):
            return self(read, again=True)  # a module that is imported at its first use runs its own text, and once
        if self._did:
            raise Lost(f"it did {self._did}")
        if said := self._words():
            raise Lost(f"it printed {said!r}")
        return refusal is None

    def _judge(self, refusal: Exception) -> None:
        chain, error = [], refusal
        while error is not None:
            chain.append(error)
            error = error.__cause__ or error.__context__
        if any(isinstance(error, MemoryError) or "allocate memory" in str(error) for error in chain):
            raise Lost("it took more memory than it may") from refusal
        try:
            words = sentence(refusal)
        except Exception as error:
            raise Lost(f"no sentence for {type(refusal).__name__}") from error
        if words is None or not words.strip() or "\n" in words or "\r" in words:
            raise Lost(f"no refusal in one sentence: {words!r}") from refusal

    def _begin(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (1, 2):
            os.dup2(self._said.fileno(), stream)
        self._did.clear()
        self._on = True
        signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)

    def _end(self) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._on = False
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, usual in zip((1, 2), self._usual, strict=True):
            os.dup2(usual, stream)

    def _words(self) -> bytes:
        size = os.fstat(self._said.fileno()).st_size
        if not size:
            return b""
        said = os.pread(self._said.fileno(), size, 0)
        self._said.seek(0)
        self._said.truncate()
        return said

    def _hear(self, event: str, args: tuple) -> None:
        if not self._on:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & WRITING and not self._inside(path):
                self._did.append(f"open {path}")
        elif event in MOVES:
            outside = [args[place] for place in MOVES[event] if not self._inside(args[place])]
            self._did.extend(f"{event} {path}" for path in outside)
        elif event in ACTS or (
            event == "exec" and not _known(args[0].co_filename, sys._getframe(1).f_code.co_filename)
        ):
            self._did.append(f"{event} {args}")

    def _inside(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a file that was open before
        return os.path.realpath(os.fsdecode(path)).startswith(self._folder)


def _known(code: str, by: str) -> bool:
    """A module that is imported, or an annotation that is looked up."""
    return code.startswith(("/", "<frozen")) or by == typing.__file__


def _too_long(*_: object) -> None:
    raise Lost(f"it took more than {PATIENCE} s")
