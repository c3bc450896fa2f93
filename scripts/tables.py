"""Every table of a study, as Markdown, CSV and LaTeX, from its records alone.

python scripts/tables.py                             all studies -> results/tables/<study>.md, .csv, .tex
python scripts/tables.py --study demo --print        one study, its headline printed too
python scripts/tables.py --study a --study b --join c    studies of several tasks side by side: results/tables/c.md,
                                                         c being no study with records
"""

import argparse
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import record, writers
from ablations.errors import shell, tell


@shell
def main() -> None:
    """Writes what can be written; a study whose runs cannot stand in one table does not keep others from theirs."""
    gc.disable()  # a short program with many small dicts, none of them garbage: looking for some takes a fifth of it
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    parser.add_argument("--join", metavar="NAME", help="one table of this name from all the studies given")
    parser.add_argument("--print", action="store_true", help="print the headline tables")
    given = parser.parse_args()
    known = record.asked(given.results, given.study)
    failed = False
    for group in [known] if given.join else [[study] for study in known]:
        name = given.join or group[0]
        try:
            written = writers.write(given.results, *group, name=given.join)
        except ValueError as error:
            tell(f"study {name}: {error}")
            failed = True
            continue
        if not written:
            print(f"{name}: no finished run yet, no table")
            continue
        if given.print:
            print(f"\n{writers.headline([run for study in group for run in record.briefs(given.results, study)])}")
        print(f"{name}: {', '.join(map(str, written))}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
