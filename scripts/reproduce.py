"""Train a finished run again, from its record, and say whether every score comes out the same.

python scripts/reproduce.py 738615dd                       the run whose signature begins so
python scripts/reproduce.py results/records/sharing/RUN.json
python scripts/reproduce.py --random 7                     one of all finished runs, drawn with this seed
python scripts/reproduce.py --random 7 --study sharing     one of a study's

Says first what differs of machine, versions, threads and code: another machine or torch may round otherwise. Exit
code 0 if all scores are equal to the last bit, else 1. No record changes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations.errors import shell


@shell
def main() -> None:
    """Chooses the run, trains it, and says what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="a signature, the beginning of one, or a record's file")
    parser.add_argument("--random", type=int, metavar="SEED", help="draw a finished run instead")
    parser.add_argument("--study", help="draw from this study (all), or take its copy of the record")
    parser.add_argument("--corpora", metavar="FOLDER", help="local pool of corpora (as in the run)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    given = parser.parse_args()
    if (given.run is None) == (given.random is None):
        raise ValueError("name one run by its signature or file, or draw one with --random SEED")

    from ablations.reproduce import chosen, drawn, reproduce  # torch comes with it

    if given.run is not None:
        file = chosen(given.results, given.run, given.study)
    else:
        file = drawn(given.results, given.random, given.study)
    if not reproduce(file, given.corpora):
        sys.exit(1)


if __name__ == "__main__":
    main()
