"""Score a finished run again: another test set, another beam.

    python evaluate.py results/records/multi30k/<run>.json --split test_2017_flickr --beam 1

Needs the run's weights, which training leaves in <results>/work/<signature>/. The record is not touched: the scores
are printed and written beside the weights as evaluation.<split>.beam<n>.json.
"""

import argparse
import json
from pathlib import Path

from ablations.errors import shell


@shell
def main() -> None:
    """Parses, loads, scores, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, help="the record of a finished run")
    parser.add_argument("--split", action="append", help="a split of its task; may be given several times")
    parser.add_argument("--beam", type=int, help="beams of the search, 1: greedy (as in the run)")
    parser.add_argument("--length-penalty", type=float, help="(as in the run)")
    parser.add_argument("--stride", type=int, help="language models: new tokens per window (as in the run)")
    parser.add_argument("--corpora", help="local pool of corpora (as in the run)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    given = parser.parse_args()

    from ablations.rescore import rescore  # torch comes with it

    changes = {"beam": given.beam, "length_penalty": given.length_penalty, "stride": given.stride}
    changes = {name: value for name, value in changes.items() if value is not None}
    for file, scores in rescore(given.record, given.split, changes, given.corpora, given.device):
        print(json.dumps(scores, indent=1))
        print(f"written to {file}")


if __name__ == "__main__":
    main()
