"""Cutting the embedding and projecting each block, or projecting the whole and cutting the result.

A block-diagonal map gives head h only the slice x_h: y_h = x_h W_h, d_model^2 / H weights. A dense map gives it
all of x: y_h = sum_g x_g W_gh, d_model^2 weights. Every block-diagonal map is the dense one with W_gh = 0 for g != h;
no block-diagonal map equals a dense one with W_gh != 0 somewhere, since the derivative of y_h after x_g is W_gh.

Nor does another basis of the embedding help: x -> x P turns W into P^-1 W, and P has d_model^2 numbers to choose, by
which one of the three matrices can be made block-diagonal, but three have 3 d_model^2 > d_model^2 + 3 d_model^2 / H for
H >= 2.
"""

import torch
from torch import Tensor

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import EQUAL, gap, site, size, strategy, vectors
from models.attention import SelfAttention

D_MODEL, HEADS, LENGTH = 32, 4, 6


def block_diagonal_and_dense() -> Outcome:
    """C23: "cutting the embedding into blocks with small matrices is equivalent to projecting, then cutting"."""
    blocks = site(strategy("projection=block_diagonal"), D_MODEL, HEADS)
    dense = site(strategy("projection=separate"), D_MODEL, HEADS)
    elsewhere = [_reach(made) for made in (blocks, dense)]
    left = _beyond_blocks(dense.project.matrix("q"))

    special = site(strategy("projection=separate"), D_MODEL, HEADS)
    maps = {f"project.maps.{role}.weight": blocks.project.matrix(role).T.detach() for role in "qkv"}
    special.load_state_dict({**maps, "out.weight": blocks.state_dict()["out.weight"]})
    x_BLC = vectors(2, LENGTH, D_MODEL)
    same = gap(blocks(x_BLC, None, True), special(x_BLC, None, True))
    counts = [sum(weight.numel() for weight in made.project.parameters()) for made in (blocks, dense)]
    return Outcome(
        [
            Finding(
                "Small matrices per block can compute what a whole matrix, then cut, computes.",
                left <= EQUAL and elsewhere[1] <= EQUAL,
                {
                    "share of a dense W_Q that the nearest block-diagonal matrix lacks": f"{left:.0%}",
                    "derivative of head 1's query after the other heads' slices, dense": f"{elsewhere[1]:.2f}",
                    "the same, block-diagonal": size(elsewhere[0]),
                },
            ),
            Finding(
                "The number of parameters is the same.",
                counts[0] == counts[1],
                {"block-diagonal": counts[0], "dense": counts[1]},
            ),
            Finding(
                "In the other direction it is so: a dense matrix that happens to be block-diagonal computes what the "
                "small matrices compute.",
                same <= EQUAL,
                {"largest difference of outputs": size(same)},
                remark=True,
            ),
            Finding(
                "Another basis of the embedding does not make up for it: block-diagonal matrices and a free basis "
                "together have fewer numbers than three dense matrices.",
                counts[0] + D_MODEL**2 < counts[1],
                {"block-diagonal and basis": counts[0] + D_MODEL**2, "dense": counts[1]},
                remark=True,
            ),
        ],
        [
            Table(
                f"W_Q, W_K, W_V at d_model = {D_MODEL} with {HEADS} heads",
                ["maps", "parameters", "head 1 sees"],
                [
                    ["a small matrix per block", counts[0], f"{D_MODEL // HEADS} of {D_MODEL} numbers"],
                    ["a whole matrix, then cut", counts[1], f"{D_MODEL} of {D_MODEL} numbers"],
                ],
            )
        ],
    )


def _reach(made: SelfAttention) -> float:
    """The largest derivative of the first head's query after a number outside the first slice of the input."""
    x_C = vectors(D_MODEL)

    def first_query(x_C: Tensor) -> Tensor:
        return made.project.query(x_C[None, None])[0, 0, 0]

    jacobian_DC = torch.func.jacrev(first_query)(x_C)
    return jacobian_DC[:, D_MODEL // HEADS :].abs().max().item()


def _beyond_blocks(matrix: Tensor) -> float:
    """The share of the squared Frobenius norm outside the diagonal blocks: what no block-diagonal matrix can have."""
    block = torch.ones(D_MODEL // HEADS, D_MODEL // HEADS)
    inside = torch.block_diag(*[block] * HEADS).bool()
    return (matrix[~inside].square().sum() / matrix.square().sum()).item()
