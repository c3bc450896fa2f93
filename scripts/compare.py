"""Every setting of a study against its baseline, over seeds and sentences, and checkpoint by checkpoint.

python scripts/compare.py                            all studies -> results/comparisons/<study>.md, .csv, .tex
python scripts/compare.py --study demo               one study
python scripts/compare.py --study demo --split test  on this split alone -> results/comparisons/demo-test.md, ...;
                                                     may be given several times

From records alone: those whose runs kept what their scores are sums of, sentence by sentence or window by window.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import record
from ablations.errors import shell, tell


@shell
def main() -> None:
    """Writes what can be written; a study whose runs cannot be compared does not keep others from theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    parser.add_argument("--split", action="append", help="a split; may be given several times (all)")
    given = parser.parse_args()
    from ablations import comparisons

    studies, failed = record.asked(given.results, given.study), False
    having = comparisons.having(given.results, studies, given.split) if given.split and studies else studies
    for study in studies:
        if study not in having:
            print(f"{study}: not scored on {' or '.join(given.split)}, nothing to compare")
            continue
        try:
            written = comparisons.write(given.results, study, given.split)
        except ValueError as error:
            tell(f"study {study}: {error}")
            failed = True
            continue
        if written:
            print(f"{study}: {', '.join(map(str, written))}")
            continue
        reason = comparisons.nothing(given.results, study, given.split)
        if old := comparisons.pages(given.results, study, given.split):
            tell(f"study {study}: {reason}; of records that are gone, to be removed: {', '.join(map(str, old))}")
            failed = True
        else:
            print(f"{study}: {reason}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
