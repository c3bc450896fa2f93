"""One big matrix that is cut into heads, or a small matrix per head.

x [W_1 W_2 ... W_H] = [x W_1, x W_2, ..., x W_H]: the columns of a product are the products of the columns, and the
gradient of a block is the block of the gradient.
"""

from dataclasses import replace

import torch

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import EQUAL, gap, site, size, strategy, vectors

D_MODEL, HEADS, LENGTH = 64, 8, 10


def one_matrix_or_many() -> Outcome:
    """C18: "one big matrix then split is h small matrices: same parameters, same function"."""
    x_BLC, target_BLC = vectors(2, LENGTH, D_MODEL), vectors(2, LENGTH, D_MODEL, seed=2)
    big = site(strategy("projection=separate"), D_MODEL, HEADS)
    small = site(replace(strategy("projection=separate"), storage="per_head"), D_MODEL, HEADS)
    small.load_state_dict(big.state_dict())
    outputs = gap(big(x_BLC, None, True), small(x_BLC, None, True))
    tensors = [len(list(made.project.parameters())) for made in (big, small)]
    counts = [sum(weight.numel() for weight in made.parameters()) for made in (big, small)]
    for made in (big, small):  # a step of length 1 leaves the gradient as the difference of the checkpoints
        (made(x_BLC, None, True) - target_BLC).square().sum().backward()
        torch.optim.SGD(made.parameters(), lr=1.0).step()
    stepped = [made.state_dict() for made in (big, small)]
    gradients = max(gap(stepped[0][name], stepped[1][name]) for name in stepped[0])
    largest = max(weight.grad.abs().max().item() for weight in big.parameters() if weight.grad is not None)
    return Outcome(
        [
            Finding("The number of parameters is the same.", counts[0] == counts[1], {"each": counts[0]}),
            Finding("The outputs are the same.", outputs <= EQUAL, {"largest difference": size(outputs)}),
            Finding(
                "The gradients are the same.",
                gradients <= EQUAL * max(1.0, largest),
                {"largest difference, relative": size(gradients / max(1.0, largest))},
            ),
        ],
        [
            Table(
                "The two ways to store one attention site",
                ["storage", "tensors for W_Q, W_K, W_V", "parameters of the site"],
                [["one matrix", tensors[0], counts[0]], ["a matrix per head and role", tensors[1], counts[1]]],
            )
        ],
    )
