"""All that the records say on one page that works from disk: tables, charts, attention maps, translations, claims.

python scripts/report.py                    all studies -> results/report.html
python scripts/report.py --study demo         one study -> results/report-demo.html
python scripts/report.py --study demo --output demo.html
"""

import argparse
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import record
from ablations.errors import shell, tell

LONGEST = 150  # letters of a file's name; many file systems end at 255


@shell
def main() -> None:
    """Writes the page. A study or a claim that it cannot show is told on stderr, and the end is 1.

    What it can show then stands in a file beside the page, which stays as it was.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", action="append", help="a study; may be given several times (all)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page (report.html, or report-<studies>.html)")
    given = parser.parse_args()
    if given.output:
        check(given.output)
    names = list(dict.fromkeys(record.asked(given.results, given.study)))
    if not names:
        return
    gc.disable()  # a short program with many small dicts, none of them garbage
    from ablations.report import write

    output = given.output or given.results / ("-".join(["report", *(names if given.study else [])]) + ".html")
    if len(output.name) > LONGEST:
        raise ValueError(f"a file cannot be named after {len(names)} studies: name the page with --output")
    page, written = write(given.results, names, output, chosen=bool(given.study))
    for sentence in page.refusals:
        tell(sentence)
    print(f"{written} ({len(page.text.encode()) / 1e6:.1f} MB)")
    if page.refusals:
        print(f"{output} is not written: {written} lacks what is told above")
        sys.exit(1)


def check(output: Path) -> None:
    """Refuses what no page can be written to, before any work is done."""
    if output.is_dir():
        raise ValueError(f"{output} is a folder: name a file, such as {output / 'report.html'}")
    if not output.parent.is_dir():
        raise ValueError(f"there is no folder {output.parent} for {output.name}: make it, or name another one")


if __name__ == "__main__":
    main()
