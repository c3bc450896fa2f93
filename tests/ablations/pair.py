"""What each of two processes does for test_processes.py: `torchrun --nproc-per-node=2 pair.py CACHE FOLDER`."""

import contextlib
import os
import sys
from pathlib import Path

import torch

from ablations import learner, run, trainer
from tests.ablations.cells import config

# Two batches a step for each of two processes, so that gradients are exchanged after the second one only.
OPTIONS = ("trainer.steps=8", "trainer.accumulate=4", "trainer.checkpoint_every=3", "trainer.eval_every=4")
# No dropout, whose stream each process has for itself; no biases, because a key's has no gradient but rounding errors.
SOBER = ("model.dropout=0", "model.bias=false")
RANK = int(os.environ.get("RANK", 0))


def main(cache: Path, folder: Path) -> None:
    """Writes, per process: the weights it ended with, what it printed, the seed of its dropout."""
    torch.set_num_threads(1)

    def do(name: str, *overrides: str) -> None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        fit = trainer.Trainer.fit

        def fit_and_tell(self, *asked):
            (folder / name / f"stream.{RANK}").write_text(str(torch.initial_seed()))
            fit(self, *asked)
            torch.save(self.courses[0].model.state_dict(), folder / name / f"weights.{RANK}.pt")

        trainer.Trainer.fit = fit_and_tell
        try:
            with (folder / name / f"printed.{RANK}").open("a") as out, contextlib.redirect_stdout(out):
                objective = run.run(config(cache, folder / name, *OPTIONS, *overrides), [])
            (folder / name / f"objective.{RANK}").write_text(repr(objective))
        finally:
            trainer.Trainer.fit = fit

    do("straight")
    do("straight")  # finished already

    step, taken = learner.Alone.step, []

    def die_at_sixth(self, batches, rates):
        taken.append(rates)
        if len(taken) == 6:
            raise KeyboardInterrupt
        return step(self, batches, rates)

    learner.Alone.step = die_at_sixth
    with contextlib.suppress(KeyboardInterrupt):
        do("broken")
    learner.Alone.step = step
    do("broken")

    do("sober", *SOBER)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
