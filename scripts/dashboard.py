"""Dashboards of studies: a W&B workspace made from code, or trackio on this machine.

python scripts/dashboard.py --study sharing --entity TEAM --project qkv-ablations    saves the workspace to W&B
python scripts/dashboard.py --study sharing --json workspace.json                    writes it, without a network
python scripts/dashboard.py --trackio                                                finished studies, in a browser
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations import record
from ablations.errors import shell
from ablations.files import write_text
from ablations.track import finished
from ablations.track.workspace import planned, save, serialised, workspace


@shell
def main() -> None:
    """Makes one dashboard and says where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", action="append", help="a study; with --trackio several, or all if left out")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results (results)")
    parser.add_argument("--entity", default="", help="the W&B user or team who owns the project")
    parser.add_argument("--project", default="qkv-ablations", help="the W&B project (qkv-ablations)")
    parser.add_argument("--json", type=Path, help="write the workspace to this file and save nothing")
    parser.add_argument("--trackio", action="store_true", help="fill trackio from the records and show it")
    parser.add_argument("--port", type=int, help="trackio's port (the first free one from 7860)")
    parser.add_argument("--no-browser", action="store_true", help="serve trackio's page without opening it")
    given = parser.parse_args()
    if given.trackio:
        studies = record.asked(given.results, given.study)
        for study in studies:
            print(f"{study}: {finished.fill(given.results, study)} runs")
        finished.show(given.results, studies, given.port, not given.no_browser)
        return
    if not given.study or len(given.study) > 1:
        raise ValueError("name the study that the workspace is for, as in --study sharing")
    [study] = given.study
    made = workspace(study, planned(study, given.results), given.entity, given.project)
    if given.json:
        write_text(given.json, json.dumps(serialised(made), indent=1) + "\n")
        print(given.json)
    else:
        print(save(made))


if __name__ == "__main__":
    main()
