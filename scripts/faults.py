"""Inject every fault of the catalogue and write how often what is promised held, to results/faults.md.

    python scripts/faults.py

The catalogue is tests/faults/README.md. Exit code 1 where a promise did not hold.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ablations import provenance  # noqa: E402
from ablations.errors import shell  # noqa: E402
from ablations.files import write_text  # noqa: E402

CATALOGUE = ROOT / "tests" / "faults" / "README.md"


@shell
def main() -> None:
    """Runs the tests, writes the page, prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where faults.md goes")
    parser.add_argument("--processes", type=int, default=2, help="tests at a time")
    given = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder) / "tally.json"
        tests = [sys.executable, "-m", "pytest", "tests/faults", "--full", "--tally", str(tally)]
        code = subprocess.run([*tests, "-n", str(given.processes)], cwd=ROOT).returncode
        if not tally.exists():
            raise ValueError("the tests did not come to their end: see what pytest says above")
        found = json.loads(tally.read_text())
    page = write(found, time.monotonic() - started)
    write_text(given.results / "faults.md", page)
    print(page)
    sys.exit(min(code, 1))


def write(found: dict[str, dict[str, int]], seconds: float) -> str:
    """The page: a row a fault, in the order of the catalogue."""
    rows = re.findall(r"^\| (?!fault |---)(.+?) \| (.+) \| `?([\w/.]+)`? \|$", CATALOGUE.read_text(), re.M)
    versions = provenance.versions()
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# Faults",
        "",
        f"`make faults`, {provenance.now()[:10]}, commit {str(provenance.code()['commit'])[:8]}, "
        f"{seconds / 60:.0f} minutes; {cores} processors, Python {versions['python']}, torch {versions['torch']}.",
        "What each fault is, what is promised and which test injects it: "
        "[tests/faults/README.md](../tests/faults/README.md).",
        "",
        "| fault | tries | survived | lost |",
        "| --- | ---: | ---: | ---: |",
    ]
    for fault, _, _ in rows:
        row = found.get(fault, {"tries": 0, "survived": 0})
        lost = row["tries"] - row["survived"]
        lines.append(f"| {fault} | {row['tries']:,} | {row['survived']:,} | {lost if row['tries'] else 'not run'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
