"""Inject every fault of the catalogue and write how often what is promised held, to results/faults.md.

    python scripts/faults.py                  all of it, which takes hours on two CPU cores
    python scripts/faults.py -k "record"      those whose tests pytest finds so; other rows stay as they are

The catalogue is tests/faults/README.md. Exit code 1 where a promise did not hold.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere

from ablations import provenance
from ablations.errors import shell
from ablations.files import write_text

ROOT = provenance.ROOT
CATALOGUE = ROOT / "tests" / "faults" / "README.md"


@shell
def main() -> None:
    """Runs the tests, updates the rows, prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="EXPRESSION", default="", help="which tests, as pytest takes it")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where faults.md and .json go")
    parser.add_argument("--processes", type=int, default=2, help="tests at a time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder) / "tally.json"
        tests = [sys.executable, "-m", "pytest", "tests/faults", "--full", "--tally", str(tally), "-k", given.k]
        code = subprocess.run([*tests, "-n", str(given.processes)], cwd=ROOT).returncode
        if not tally.exists():
            raise ValueError("the tests did not come to their end: see what pytest says above")
        found = json.loads(tally.read_text())
    write(given.results, found, str(provenance.code()["commit"])[:7])
    print((given.results / "faults.md").read_text(encoding="utf-8"))
    sys.exit(min(code, 1))


def write(results: Path, found: dict[str, dict[str, Any]], commit: str) -> None:
    """Renews the rows of the faults that were injected, as tallied at a commit, and the page with all of them."""
    kept = results / "faults.json"
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    known = re.findall(r"^\| (?!fault |---)(.+?) \| .+ \| `?[\w/.]+`? \|$", CATALOGUE.read_text(encoding="utf-8"), re.M)
    rows |= {fault: {**row, "commit": commit} for fault, row in found.items() if row["tries"]}
    rows = {fault: rows[fault] for fault in known if fault in rows}
    write_text(kept, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    versions, cores = provenance.versions(), len(os.sched_getaffinity(0))
    lines = [
        "# Faults",
        "",
        f"`make faults`, {provenance.now()[:10]}; {cores} processors, Python {versions['python']}, torch "
        f"{versions['torch']}. What each fault is, what is promised and which test injects it: "
        "[tests/faults/README.md](../tests/faults/README.md).",
        "",
        "| fault | tries | survived | lost | commit |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for fault in known:
        row = rows.get(fault)
        told = [row["tries"], row["survived"], row["tries"] - row["survived"]] if row else ["not run", "", ""]
        numbers = " | ".join(f"{number:,}" if isinstance(number, int) else number for number in told)
        lines.append(f"| {fault} | {numbers} | {row['commit'] if row else ''} |")
    write_text(results / "faults.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
