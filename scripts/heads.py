"""Do trainings from other seeds find the same heads? A table from the records of a study.

python scripts/heads.py --study sharing
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import figures, record
from ablations.analysis.agreement import agreement, role_vectors
from ablations.errors import shell


@shell
def main() -> None:
    """Prints one line per setting, before and after training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--study", required=True)
    given = parser.parse_args()
    finished = [run for run in record.load_all(given.results, given.study) if run["status"] == "finished"]
    runs = [run for run in finished if (run.get("analyses") or [{}])[-1].get("heads")]
    if not runs:
        raise ValueError(f"no finished run of study {given.study} has looked at heads: train it with analysis=ends")
    print("| setting | seeds | matched, first step | shuffled | matched, last step | shuffled |")
    print("|---|---|---|---|---|---|")
    for setting, group in figures.by_setting(runs).items():
        if len(group) < 2:
            continue
        both = [agreement([role_vectors(run["analyses"][i]["heads"]) for run in group]) for i in (0, -1)]
        cells = [f"{found[key]:.3f}" for found in both for key in ("matched", "shuffled")]
        print(f"| {setting} | {len(group)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
