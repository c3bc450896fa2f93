"""Tokenise a task's text into `paths.cache`, apart from training: GPU nodes often have no network.

python scripts/prepare.py task=multi30k_en_de paths.corpora=../shared/data

The folder printed may be copied to another machine, at the same place under its `paths.cache`; there neither the text
nor the package `datasets` is needed.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere

from ablations.errors import shell


@shell
def main() -> None:
    """Prepare the task that the command line composes, and print where it is and what is in it."""
    from ablations.compose import compose
    from ablations.config import check
    from data.prepare import prepare

    run = compose(sys.argv[1:])
    check(run)
    prepared = prepare(run.task, run.paths.corpora, run.paths.cache)
    facts = prepared.facts
    lines = [
        f"{run.task.name}: {prepared.folder}",
        f"text and tokenizer {facts['digest']}, vocabulary {facts['vocabulary']:,}, from {facts['origin']}",
    ]
    for split, counts in facts["splits"].items():
        counts["also_in_train"] = facts["duplicates"].get(split)
        lossy = [] if counts.pop("lossless") else ["not lossless"]
        shown = [f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items() if number]
        lines.append(f"  {split}: {', '.join(shown + lossy)}")
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
