"""The verdict on every claim in conf/claim/, from records, measurements and exact checks.

python scripts/claims.py          all: results/claims.md and a page for each in results/claims/
python scripts/claims.py C07      one, printed; nothing is written
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations.claims import pages, schema
from ablations.claims.write import verdict, write
from ablations.errors import shell, tell
from models.projections.choice import one_of


@shell
def main() -> None:
    """A claim that is refused is told on stderr, and the program ends with 1 when the others are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", metavar="ID", help="claims to print (none: write all)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    given = parser.parse_args()
    if not given.results.is_dir():
        raise ValueError(f"there is no folder {given.results}: give --results the folder that holds records/")
    files = {file.stem: file for file in schema.files()}
    for name in given.claims:
        one_of("claim", name, files)
        found = verdict(files[name], given.results)
        print(pages.page(found, pages.picture_files(given.results, found.claim)))
    if given.claims:
        return
    entries = write(given.results)
    for entry in entries:
        if entry.verdict is None:
            tell(f"{entry.id} is refused: {entry.refusal}")
        else:
            print(f"{entry.id}: {entry.verdict.verdict}")
    print(given.results / "claims.md")
    if any(entry.verdict is None for entry in entries):
        sys.exit(1)


if __name__ == "__main__":
    main()
