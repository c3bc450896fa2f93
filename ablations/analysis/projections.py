"""What the weights of a head say by themselves, in quantities that no change of a head's own coordinates alters.

A head scores x M x'^T, M = W_Q W_K^T, and adds x' W_V W_O. For any invertible A the maps W_K A and W_Q A^-T score the
same, so a cosine between the weights of two roles means nothing; products and the spaces that the maps read do.

Axes: H heads, C model width, D, E widths of a head. Matrices as in x W: [C, D]. Everything in float64 on the CPU, which
gives the same numbers whatever device trains. Biases, rotations and normalised keys are left out.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablations.analysis.sites import output_map
from models.projections.score import DotProduct

PAIRS = ("qk", "qv", "kv")
# Directions of a smaller relative singular value are float32 rounding (low-rank maps) and belong to no subspace.
NOISE = float(torch.finfo(torch.float32).eps)


def describe(attention: Any) -> dict[str, Any]:
    """All of one site, each a list over query heads; `random` are single numbers. See the functions for formulas.

    At a cross site queries and the rest read two different streams: symmetry and the angles of q are then those of
    matrices and spaces that happen to have equal width, to be compared with `random` only. Where the score is no
    product of query and key there is no M, and what is said of it is left out.
    """
    heads = role_maps(attention)
    spaces = {role: [basis(W) for W in maps] for role, maps in heads.items()}

    def per_head(of: Callable[[np.ndarray], float]) -> dict[str, list[float]]:
        return {
            pair: [of(angles(a, b)) for a, b in zip(spaces[pair[0]], spaces[pair[1]], strict=True)] for pair in PAIRS
        }

    first = {role: bases[0] for role, bases in spaces.items()}
    found: dict[str, Any] = {}
    if isinstance(attention.score, DotProduct):
        pairs = list(zip(_met(attention.score, heads["q"]), heads["k"], strict=True))
        found |= {
            "symmetry": [symmetry(q @ k.T) for q, k in pairs],
            "directionality": [directionality(q @ k.T) for q, k in pairs],
            "qk_rank": [effective_rank(q, k) for q, k in pairs],
        }
    out = output_map(attention).detach().double().cpu()
    return found | {
        "vo_rank": [effective_rank(v, o.T) for v, o in zip(heads["v"], out, strict=True)],
        "angle": per_head(lambda found: float(found.mean()) if found.size else float("nan")),
        "smallest_angle": per_head(lambda found: float(found.min()) if found.size else float("nan")),
        "random_angle": {
            pair: random_angle(len(first[pair[0]]), first[pair[0]].shape[1], first[pair[1]].shape[1]) for pair in PAIRS
        },
    }


def role_maps(attention: Any) -> dict[str, list[Tensor]]:
    """Role -> its map [C, D] for each query head; query heads that share keys and values share their maps."""
    maps = {}
    for role in "qkv":
        whole = attention.project.matrix(role).detach().double().cpu()
        own = whole.split(attention.project.sizes.dim_of(role), dim=1)
        maps[role] = [own[head * len(own) // attention.heads] for head in range(attention.heads)]
    return maps


def _met(score: DotProduct, q: list[Tensor]) -> list[Tensor]:
    """W_Q as keys meet it: W_Q F where the score has a matrix of its own between the two."""
    if score.weight is None:
        return q
    return [W @ F for W, F in zip(q, score.weight.detach().double().cpu(), strict=True)]


def symmetry(M: Tensor) -> float:
    """(|M_s|^2 - |M_n|^2) / |M|^2, M_s = (M + M^T)/2, M_n = (M - M^T)/2, Frobenius norms (Saponati et al. 2025).

    1: symmetric, -1: skew-symmetric, about 0: independent random entries. Where W_Q = W_K it is 1.
    """
    return float((M * M.T).sum() / (M * M).sum())  # |M_s|^2 - |M_n|^2 is the trace of M M


def directionality(M: Tensor) -> float:
    """(c - r) / (c + r), c the sum over columns of max(0, |m_j| - mean - 2 sd) of the columns' norms, r that over rows.

    1: a few columns (the input coordinates that keys read) stand out and no row does; -1: rows (that queries read);
    0: both alike or none at all. Saponati et al. (2025) with two deviations (over n - 1) and the excess over the
    threshold, as their published program has it; their text, as others quote it, counts rows as positive. They take
    all heads of a layer together, we each by itself. Unlike symmetry it depends on the coordinates of the residual
    stream.
    """

    def excess(norms: Tensor) -> float:
        return float((norms - norms.mean() - 2 * norms.std()).clamp_min(0).sum())

    columns, rows = excess(M.norm(dim=0)), excess(M.norm(dim=1))
    return (columns - rows) / (columns + rows) if columns + rows else 0.0


def effective_rank(A: Tensor, B: Tensor) -> float:
    """exp(-sum p ln p), p the singular values of A B^T over their sum, for A, B [C, D] (Roy & Vetterli 2007).

    From 1 (one direction) to min(C, D) (all equally strong).
    """
    p = torch.linalg.svdvals(torch.linalg.qr(A).R @ torch.linalg.qr(B).R.T)  # those of A B^T, at the size of D
    p = p / p.sum()
    return float(torch.exp(-torch.special.xlogy(p, p).sum()))


def basis(W: Tensor) -> np.ndarray:
    """An orthonormal basis [C, rank] of the directions of the input that a map W [C, D] reads."""
    U, s, _ = torch.linalg.svd(W, full_matrices=False)
    return U[:, s > s[0] * max(W.shape) * NOISE].numpy()


def angles(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The principal angles in degrees, 0 (a common direction) to 90 (orthogonal), between the spaces of two bases.

    min of the two ranks many (Bjorck & Golub 1973), to a millionth of a degree. Equal spaces: all 0.
    """
    from scipy.linalg import subspace_angles

    if not A.shape[1] or not B.shape[1]:
        return np.zeros(0)
    return np.degrees(subspace_angles(A, B)).round(6)


@cache
def random_angle(width: int, rank: int, other: int) -> float:
    """Mean principal angle in degrees between random subspaces of these ranks: eight draws from one fixed seed."""
    rng = np.random.default_rng(0)
    if not rank or not other:
        return float("nan")
    draws = [angles(rng.normal(size=(width, rank)), rng.normal(size=(width, other))) for _ in range(8)]
    return float(np.mean(draws))
