"""Feed one entry with inputs made by atheris, which looks for bytes that reach new code.

    python tests/faults/fuzz.py record --inputs 100000 --seed 1

Exit code 0 where every input was accepted or refused in a sentence. What broke the promise is printed, with the input
in hexadecimal: `--input HEX` tries it again.
"""

import argparse
import contextlib
import mmap
import os
import struct
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

LONGEST = 512  # bytes of an input; what is done with them may be longer
MEMORY = Path("/dev/shm")


class Count:
    """How many inputs were tried and how many of them accepted, where another process can see it."""

    def __init__(self, file: Path):
        with file.open("a+b") as opened:
            opened.truncate(16)
            self._shared = mmap.mmap(opened.fileno(), 16)

    def add(self, accepted: bool) -> None:
        tried, taken = self.get()
        struct.pack_into("QQ", self._shared, 0, tried + 1, taken + accepted)

    def get(self) -> tuple[int, int]:
        tried, taken = struct.unpack_from("QQ", self._shared)
        return tried, taken


@contextlib.contextmanager
def own_folder():
    """In memory, where there is such a place: hundred thousand files are written."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="to work in; its file `count` says how many inputs were tried")
    parser.add_argument("--input", metavar="HEX", help="only this one")
    given = parser.parse_args()
    with contextlib.nullcontext(given.folder) if given.folder else own_folder() as folder:
        fuzz(given, folder)


def fuzz(given: argparse.Namespace, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["ablations", "data", "models.projections"], enable_loader_override=False):
        from tests.faults.targets import TARGETS
        from tests.faults.watched import Lost, Watched

        target = TARGETS[given.target](folder)
    watched = Watched(folder)
    count = Count(folder / "count")

    def one(data: bytes) -> None:
        made = target.make(data)
        try:
            accepted = watched(lambda: target.read(*made))
        except Lost:
            os.write(2, f"{traceback.format_exc()}\ninput {data.hex()}\n".encode(errors="replace"))
            os._exit(1)  # libFuzzer would say less
        count.add(accepted)

    if given.input is not None:
        one(bytes.fromhex(given.input))
        return
    one(b"")
    watched.limit_memory()
    flags = [f"-runs={given.inputs}", f"-seed={given.seed}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=60",
             "-rss_limit_mb=4096", f"-artifact_prefix={folder}/", "-print_final_stats=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
