"""All that the records say on one page that works from disk: tables, charts, attention maps, translations, claims.

python scripts/report.py                    all studies -> results/report.html
python scripts/report.py --study demo --output demo.html
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
    """Writes what can be written; a study or a claim that cannot be shown is told on stderr, and the end is 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page (report.html in the folder of results)")
    given = parser.parse_args()
    names = list(dict.fromkeys(record.asked(given.results, given.study)))
    if not names:
        return
    gc.disable()  # a short program with many small dicts, none of them garbage
    from ablations.report import write

    output = given.output or given.results / "report.html"
    page = write(given.results, names, output)
    for sentence in page.refusals:
        tell(sentence)
    print(f"{output} ({len(page.text.encode()) / 1e6:.1f} MB)")
    if page.refusals:
        sys.exit(1)


if __name__ == "__main__":
    main()
