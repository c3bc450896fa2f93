"""Figures of a study, as PNG and SVG, from its records alone.

python scripts/figures.py                               all of all studies -> results/figures/<study>/
python scripts/figures.py --study demo                  one study
python scripts/figures.py --study demo --figure dots    one figure; --figure with a wrong name lists them
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import figures, record
from ablations.errors import shell, tell


@shell
def main() -> None:
    """Draws what can be drawn and says what was left out; a broken record keeps no other study from its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    known = ", ".join(figures.FIGURES)
    parser.add_argument("--figure", nargs="+", action="extend", metavar="NAME", help=f"of {known} (all)")
    given = parser.parse_args()
    figures.check(given.figure or [])
    failed = False
    for study in record.asked(given.results, given.study):
        try:
            written, left_out = figures.write(given.results, study, given.figure)
        except ValueError as error:
            tell(f"study {study}: {error}")
            failed = True
            continue
        for sentence in left_out:
            print(f"{study}: {sentence}")
        print(f"{study}: {', '.join(map(str, written)) or 'no figure'}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
