"""One frozen cell, run in a process of its own: `python -m ablations.sweep.cell <work>/<signature>/cell.json`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablations.compose import from_plain
from ablations.errors import reason, shell
from ablations.files import write_text
from ablations.sweep.frozen import FAILED, Frozen


def run_frozen(file: Path) -> None:
    """Runs what the file says, unless code or libraries are others by now."""
    with reasoned(file.parent):
        frozen = Frozen.read(file)
        frozen.compare()
        from ablations.run import run  # torch comes when everything else is in order

        config = from_plain(frozen.config)
        config.rerun = config.rerun and frozen.answered() is None  # a job that SLURM starts twice trains once
        run(config, frozen.overrides, frozen.origin)


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
