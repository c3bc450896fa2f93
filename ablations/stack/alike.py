"""Which runs can be trained as one batched model. Torch is not needed to know."""

import json
from collections.abc import Sequence

from ablations.compose import to_plain
from ablations.config import SITES, RunConfig

AUTO = 8  # runs that `trainer.stack=auto` tries together


def stacks(runs: Sequence[RunConfig]) -> list[list[int]]:
    """The places of runs in the list, those that are trained together in one list of up to `trainer.stack`."""
    found: list[list[int]] = []
    open_ones: dict[str, list[int]] = {}
    for place, run in enumerate(runs):
        kind = _kind(run)
        mine = open_ones.get(kind)
        if mine is None or len(mine) == most(run):
            found.append(mine := [])
            open_ones[kind] = mine
        mine.append(place)
    return found


def most(run: RunConfig) -> int:
    """How many runs like this one are trained together."""
    if not all(getattr(run.sites, site).stackable for site in SITES[run.task.kind]):
        return 1
    return AUTO if run.trainer.stack == "auto" else int(run.trainer.stack)


def _kind(run: RunConfig) -> str:
    """What two runs must have in common: all but seeds, the optimizer's numbers and how their strategies begin.

    Label smoothing is the loss's, which is one for all.
    """
    plain = to_plain(run)
    for beside in ("seed", "study", "rerun", "projection", "optim", "sites"):
        del plain[beside]
    del plain["model"]["name"]
    sites = {site: getattr(run.sites, site).in_training() for site in SITES[run.task.kind]}
    return json.dumps([plain, sites, run.optim.label_smoothing], sort_keys=True)
