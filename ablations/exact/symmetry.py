"""What is symmetric when queries and keys share one matrix.

With q = k the scores S_ij = q_i.q_j / sqrt(D) are symmetric. Under rotary positions q_i becomes R_i q_i and
S_ij = q_i^T R_i^T R_j q_j / sqrt(D), whose transpose is q_j^T R_j^T R_i q_i: the same number. The weights are not:
A_ij = exp(S_ij) / Z_i with Z_i = sum_j exp(S_ij), so A_ij / A_ji = Z_j / Z_i, and the rows' sums Z differ. What is left
of symmetry is A_ij Z_i = A_ji Z_j: going round a circle, A_ij A_jk A_ki = A_ik A_kj A_ji. A causal mask sets A_ij = 0
for j > i alone. Keys divided by their size, k_j = q_j / |q_j|, make the scores themselves asymmetric.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ablations.exact.findings import Finding, Outcome, Picture, Table
from ablations.exact.make import EQUAL, gap, site, size, strategy, vectors
from models.attention import Look

WORDS = ("the", "red", "car")
D_MODEL, HEADS, LENGTH = 32, 4, 8
EXAMPLE_WIDTH = 8


def symmetry() -> Outcome:
    """C07: "with Q=K attention is strictly symmetric, A_ij = A_ji"; random vectors, and the notes' three words."""
    tied, apart = strategy("projection=q_is_k"), strategy("projection=separate")
    x_BLC = vectors(1, LENGTH, D_MODEL)
    plain = site(tied, D_MODEL, HEADS).look(x_BLC, None, causal=False)
    turned = site(tied, D_MODEL, HEADS, rotary=True).look(x_BLC, None, causal=False)
    masked = site(tied, D_MODEL, HEADS).look(x_BLC, None, causal=True)
    normed = site(replace(tied, name="normed", key_norm="rms"), D_MODEL, HEADS).look(x_BLC, None, causal=False)
    free = site(apart, D_MODEL, HEADS).look(x_BLC, None, causal=False)

    example, contrast = _example(tied), _example(apart)
    weights = example.weights_BHLS[0, 0]
    red, car = WORDS.index("red"), WORDS.index("car")
    findings = [
        Finding(
            "The scores before softmax are symmetric: S_ij = S_ji.",
            asymmetry(plain.scores_BHLS) <= EQUAL,
            {"largest |S_ij - S_ji|": size(asymmetry(plain.scores_BHLS))},
        ),
        Finding(
            "So they are under rotary positions.",
            asymmetry(turned.scores_BHLS) <= EQUAL,
            {"largest |S_ij - S_ji|": size(asymmetry(turned.scores_BHLS))},
        ),
        Finding(
            "The attention weights after softmax are symmetric: A_ij = A_ji.",
            asymmetry(plain.weights_BHLS) <= EQUAL,
            {
                "largest |A_ij - A_ji|": size(asymmetry(plain.weights_BHLS)),
                'weight of "car" for "red"': f"{weights[red, car].item():.3f}",
                'weight of "red" for "car"': f"{weights[car, red].item():.3f}",
            },
        ),
        Finding(
            "So they are under a causal mask.",
            asymmetry(masked.weights_BHLS) <= EQUAL,
            {"largest |A_ij - A_ji|": size(asymmetry(masked.weights_BHLS))},
        ),
        Finding(
            "With normalised keys (Reformer) the scores are still symmetric.",
            asymmetry(normed.scores_BHLS) <= EQUAL,
            {"largest |S_ij - S_ji|": size(asymmetry(normed.scores_BHLS))},
        ),
        Finding(
            "What is left of the symmetry after softmax: round any circle of three positions the product of the "
            "weights is the same in both directions. With separate matrices it is not.",
            circulation(plain.weights_BHLS) <= EQUAL < circulation(free.weights_BHLS),
            {
                "largest log-ratio, Q=K": size(circulation(plain.weights_BHLS)),
                "separate": size(circulation(free.weights_BHLS)),
            },
            remark=True,
        ),
    ]
    tables = [_matrix(f"{what}, Q=K", matrix) for what, matrix in _shown(example)]
    panels = [
        [(f"{what}, Q=K", a.tolist()), (f"{what}, separate", b.tolist())]
        for (what, a), (_, b) in zip(_shown(example), _shown(contrast), strict=True)
    ]
    return Outcome(findings, tables, [Picture('"the red car": scores and weights', WORDS, panels)])


def asymmetry(matrix_BHLL: Tensor) -> float:
    """The largest |M_ij - M_ji|."""
    return gap(matrix_BHLL, matrix_BHLL.mT)


def circulation(weights_BHLL: Tensor) -> float:
    """The largest |log(A_ij A_jk A_ki / (A_ik A_kj A_ji))|: 0 for a symmetric matrix whose rows were normalised."""
    skew = weights_BHLL.log() - weights_BHLL.log().mT
    first = skew[..., :, :, None] + skew[..., None, :, :]  # ij + jk
    return (first - skew[..., :, None, :]).abs().max().item()


def _example(config) -> Look:
    """One head over three words with random embeddings."""
    x_BLC = vectors(1, len(WORDS), EXAMPLE_WIDTH, seed=3)
    return site(config, EXAMPLE_WIDTH, heads=1).look(x_BLC, None, causal=False)


def _shown(look: Look) -> list[tuple[str, torch.Tensor]]:
    return [("scores", look.scores_BHLS[0, 0].detach()), ("weights", look.weights_BHLS[0, 0].detach())]


def _matrix(title: str, matrix: Tensor) -> Table:
    rows = [[word, *(f"{number:.3f}" for number in row)] for word, row in zip(WORDS, matrix.tolist(), strict=True)]
    return Table(f'"the red car": {title} (row: the word that looks)', ["", *WORDS], rows)
