"""Gives records of earlier versions, which have none, their checksum.

python -m ablations.record.checksum results/records/demo/*.json

Only where schema, keys and signature fit; whoever does it says that the numbers are as they were written.
"""

import argparse
import sys
from pathlib import Path

from ablations.errors import shell, tell
from ablations.files import write_text
from ablations.record.file import UnsealedError, load, load_signed
from ablations.record.seal import seal


def add(file: Path) -> None:
    """Leaves a record that has its checksum as it is. Raises ValueError naming what does not fit."""
    try:
        load(file)
    except UnsealedError:
        load_signed(file, sealed=False)
        write_text(file, seal(file.read_text(encoding="utf-8")))


@shell
def main() -> None:
    """One that is refused keeps no other from its checksum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    failed = False
    for file in parser.parse_args().files:
        try:
            add(file)
        except ValueError as error:
            tell(str(error))
            failed = True
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
