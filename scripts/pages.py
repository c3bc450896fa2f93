"""A page of Markdown for every study: question, findings, tables, figures, claims, commands, cost; and an index of all.

python scripts/pages.py                    all studies -> results/studies/<study>.md and README.md
python scripts/pages.py --study demo       one study, and the index
Figures, claims, tables and comparisons are linked where they are there: make those first.
"""

import argparse
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import record
from ablations.errors import shell, tell


@shell
def main() -> None:
    """Writes the pages. A study that has no table is told on stderr, and the end is 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    given = parser.parse_args()
    if not record.asked(given.results, given.study):
        return
    gc.disable()  # a short program with many small dicts, none of them garbage
    from ablations.pages import write

    written, refusals = write(given.results, given.study)
    for sentence in refusals:
        tell(sentence)
    print("\n".join(map(str, written)))
    if refusals:
        sys.exit(1)


if __name__ == "__main__":
    main()
