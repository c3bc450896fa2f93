"""Do trainings from other seeds find the same heads? From records alone."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

SHUFFLES = 20


def role_vectors(heads: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Site -> [heads, kinds] from the part "heads" of an analysis on record."""
    return {site: [list(head) for head in zip(*of["roles"].values(), strict=True)] for site, of in heads.items()}


def agreement(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How alike the heads of several runs are, each given as `role_vectors`: site -> [heads, kinds] shares of weight.

    matched: mean cosine of a head with its partner in another run, heads of a site matched one to one so that the sum
    of cosines is largest (Hungarian method), over all pairs of runs. shuffled: the same after the second run's heads
    were dealt to its sites at random (fixed seed), the level that heads without a place of their own reach. Both from 0
    to 1, as shares are not negative. Raises ValueError for fewer than two runs and where sites or sizes differ.
    """
    if len(runs) < 2:
        raise ValueError(f"agreement is between runs, and there is {len(runs)}: give at least two seeds")
    tables = [{site: np.asarray(shares, float) for site, shares in run.items()} for run in runs]
    shapes = [{site: table.shape for site, table in run.items()} for run in tables]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the runs do not have the same sites, heads and kinds: compare runs of one setting")
    rng = np.random.default_rng(0)
    pairs = list(combinations(tables, 2))
    matched = [_matched(first, second) for first, second in pairs]
    shuffled = [_matched(first, _dealt(second, rng)) for first, second in pairs for _ in range(SHUFFLES)]
    return {"matched": float(np.mean(matched)), "shuffled": float(np.mean(shuffled))}


def _matched(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> float:
    from scipy.optimize import linear_sum_assignment

    found = []
    for site, table in first.items():
        cosines = _unit(table) @ _unit(second[site]).T
        found.extend(cosines[linear_sum_assignment(cosines, maximize=True)])
    return float(np.mean(found))


def _unit(table: np.ndarray) -> np.ndarray:
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)


def _dealt(run: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The heads of a run at other sites; sites whose kinds are other ones (cross-attention) keep to themselves."""
    dealt = dict(run)
    for kinds in {table.shape[1] for table in run.values()}:
        group = [site for site, table in run.items() if table.shape[1] == kinds]
        heads = rng.permutation(np.concatenate([run[site] for site in group]))
        cuts = np.cumsum([len(run[site]) for site in group])[:-1]
        dealt |= dict(zip(group, np.split(heads, cuts), strict=True))
    return dealt
