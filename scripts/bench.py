"""How fast, and how large: timings and sizes that docstrings, the README and claims quote.

    python scripts/bench.py NAME...

Contenders take turns in one process, on one thread unless a benchmark says otherwise, since machines are noisy: medians
of ratios, seconds of computing on a CPU. Markdown and JSON go to results/bench/NAME.md and NAME.json.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ablations.bench.names import FOR_CLAIMS, expand, listing
from ablations.errors import shell


@shell
def main() -> None:
    """Runs benchmarks one after the other."""
    given = _parsed()
    import torch

    from ablations.bench import runner
    from ablations.bench.setup import Setup

    torch.set_num_threads(1)
    names = expand(given.pop("names"))
    save = given.pop("save")
    if save and not set(names) <= set(FOR_CLAIMS):
        raise ValueError(f"--save is for {' and '.join(FOR_CLAIMS)}: no claim reads the others")
    if save and given["quick"]:
        raise ValueError("--quick times nothing that a claim may read: leave out --save or --quick")
    if given["rounds"] < 1:
        raise ValueError(f"--rounds {given['rounds']} measures nothing: take 1 or more")
    if given["run"] is not None and not Path(given["run"]).is_file():
        raise ValueError(f"--run {given['run']} is not there: name the record of a trained translator, a JSON file")
    for name in names:
        runner.find(name)  # refused before any of them runs
    for name in names:
        for file in runner.run(name, Setup(**given), save):
            print(file)


def _parsed() -> dict:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=f"{__doc__}\n{listing()}", formatter_class=form)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=7, help="samples of each contender (7)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; kept under results/work")
    parser.add_argument("--corpora", metavar="FOLDER", help="a local pool of corpora")
    parser.add_argument("--cache", default="data/cache", metavar="FOLDER", help="prepared text (data/cache)")
    parser.add_argument("--results", default="results", metavar="FOLDER", help="folder of results (results)")
    parser.add_argument("--nanogpt", metavar="FOLDER", help="language_model: a clone of karpathy/nanoGPT")
    parser.add_argument("--joeynmt", metavar="FOLDER", help="translator, decoding: a clone of joeynmt/joeynmt")
    parser.add_argument("--run", metavar="FILE", help="decoding: record of a trained translator")
    parser.add_argument("--sentences", type=int, metavar="N", help="decoding: so many of the test set, evenly (all)")
    parser.add_argument("--strategies", nargs="+", default=[], metavar="NAME", help="of conf/projection (all)")
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help="paper_300m: what the device reaches at most")
    parser.add_argument("--cells", type=int, default=2000, help="sweep: how many, a multiple of 20 (2000)")
    parser.add_argument("--save", action="store_true", help="storage, key_width: keep the samples for claims")
    return vars(parser.parse_args())


if __name__ == "__main__":
    main()
