"""How a study is getting on: what is finished, running, waiting, failed and missing.

python scripts/status.py sharing                    a study by its name
python scripts/status.py sharing --watch            again every five seconds, until nothing runs or waits
python scripts/status.py study=sharing seed=7,8     exactly what was typed after `python train.py`
python scripts/status.py                            every study that was launched from here
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere

from ablations.errors import shell


@shell
def main() -> None:
    """Prints the state of every cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="a study, or what was typed after `python train.py`")
    parser.add_argument("-m", "--multirun", action="store_true", help=argparse.SUPPRESS)  # typed after train.py, too
    parser.add_argument("--watch", action="store_true", help="look again until nothing runs or waits")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between two looks (5)")
    parser.add_argument("--results", default="results", help="the results folder, where no words say it")
    asked = parser.parse_args()
    if asked.every <= 0:
        raise ValueError(f"--every {asked.every}: seconds between two looks are more than 0")

    from ablations.sweep import show, status
    from ablations.sweep.jobs import NoAnswerError

    def look(study: status.Study) -> list[status.State]:
        try:
            return study.look()
        except NoAnswerError as silence:
            print(f"warning: {silence}", file=sys.stderr)
            return study.look(ask=False)

    results = Path(asked.results)
    if not asked.words:
        studies = status.all_launched(results)
    elif all("=" not in word for word in asked.words):
        studies = [status.of_name(results, name) for name in asked.words]
    else:
        studies = [status.of_words(asked.words)]
    if asked.watch:
        show.watch(studies, lambda: time.sleep(asked.every))
    else:
        show.once({study.name: look(study) for study in studies})


if __name__ == "__main__":
    main()
