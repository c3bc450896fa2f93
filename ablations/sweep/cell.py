"""One frozen cell, run in a process of its own: `python -m ablations.sweep.cell <work>/<signature>/cell.json`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablations.compose import from_plain
from ablations.errors import reason, shell
from ablations.files import write_text
from ablations.sweep.frozen import Frozen

FAILED = "failed.txt"  # in a cell's folder: why its last attempt failed, in one sentence


def run_frozen(file: Path) -> None:
    """Runs what the file says, unless code or libraries are others by now."""
    with reasoned(file.parent):
        frozen = Frozen.read(file)
        frozen.compare()
        from ablations.run import run  # torch comes when everything else is in order

        run(from_plain(frozen.config), frozen.overrides, frozen.code)


@contextmanager
def reasoned(folder: Path) -> Iterator[None]:
    """Around one attempt: a failure is written down for who asks how the study is getting on, and raised again."""
    failed = folder / FAILED
    failed.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        write_text(failed, reason(error) + "\n")
        raise


@shell
def main() -> None:
    """The command line."""
    run_frozen(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
