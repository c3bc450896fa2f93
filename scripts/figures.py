"""Every figure of a study, as PNG and SVG, from its records alone.

python scripts/figures.py                   all studies -> results/figures/<study>/
python scripts/figures.py --study demo      one study
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import figures, record
from ablations.errors import shell


@shell
def main() -> None:
    """Draws what can be drawn and says what was left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    given = parser.parse_args()
    known = record.studies(given.results)
    if not known:
        print(f"no records under {given.results / 'records'} yet: `python train.py` makes one")
    for study in given.study or []:
        if study not in known:
            raise ValueError(
                f"no records of study {study!r} under {given.results} (known: {', '.join(known) or 'none'})"
            )
    for study in given.study or [study for study in known if study != "scratch"]:
        written, left_out = figures.write(given.results, study)
        for sentence in left_out:
            print(f"{study}: {sentence}")
        print(f"{study}: {', '.join(map(str, written)) or 'no figure'}")


if __name__ == "__main__":
    main()
