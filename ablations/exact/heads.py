"""Are the heads of one site different functions?

Head h has attention map A_h = softmax(q_h k_h^T / sqrt(D)). If no head has vectors of its own, q_h = q and k_h = k for
all h, so A_h = A, whatever the weights, hence after any training too. With values v_h = v the heads' outputs y = A v
are the same as well, and the output map W_O = [W_1; ...; W_H] makes of them y W_1 + ... + y W_H = y (W_1 + ... + W_H):
one head. With slices q_h = x_h (the h-th part of x) the maps differ as the slices do.
"""

from dataclasses import replace

import torch

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import EQUAL, between_heads, gap, site, size, strategy, vectors
from models.attention import SelfAttention
from models.config import ModelConfig

D_MODEL, HEADS, LENGTH = 32, 4, 6


def heads_without_projections() -> Outcome:
    """C02: "without W_Q, W_K, W_V all heads are the same, multi-head degenerates to one head"."""
    x_BLC = vectors(1, LENGTH, D_MODEL)
    plain = strategy("projection=identity")
    whole = replace(plain, name="whole", unsplit=True)

    unsplit = site(whole, D_MODEL, HEADS, head_dim=D_MODEL)
    same = between_heads(unsplit.look(x_BLC, None, causal=False).weights_BHLS)
    single = site(whole, D_MODEL, heads=1, head_dim=D_MODEL)
    blocks = unsplit.state_dict()["out.weight"].unflatten(1, (HEADS, D_MODEL))
    single.load_state_dict({"out.weight": blocks.sum(1)})
    degenerate = gap(unsplit(x_BLC, None, False), single(x_BLC, None, False))
    sliced = between_heads(site(plain, D_MODEL, HEADS).look(x_BLC, None, causal=False).weights_BHLS)
    return Outcome(
        [
            Finding(
                "If every head takes the whole vector, the attention maps of all heads are the same.",
                same <= EQUAL,
                {"heads": HEADS, "largest difference between heads": size(same)},
            ),
            Finding(
                "Then several heads are one: one head whose output map is the sum of theirs gives the same output.",
                degenerate <= EQUAL,
                {"largest difference of outputs": size(degenerate)},
            ),
            Finding(
                "If every head takes its own slice of the vector, the maps of all heads are still the same.",
                sliced <= EQUAL,
                {"heads": HEADS, "largest difference between heads": size(sliced)},
            ),
        ]
    )


def unsplit_shared_heads() -> Outcome:
    """C22: "without splitting, shared matrices give identical heads", at the start and after any training."""
    x_BLC = vectors(1, LENGTH, D_MODEL)
    shared = strategy("projection=shared")
    unsplit = site(replace(shared, name="one", unsplit=True), D_MODEL, HEADS)
    start = between_heads(unsplit.look(x_BLC, None, causal=False).weights_BHLS)
    moved = _descend(unsplit, x_BLC, steps=20)
    after = between_heads(unsplit.look(x_BLC, None, causal=False).weights_BHLS)
    apart = site(replace(strategy("projection=separate"), name="three", unsplit=True), D_MODEL, HEADS)
    three = between_heads(apart.look(x_BLC, None, causal=False).weights_BHLS)
    split = between_heads(site(shared, D_MODEL, HEADS).look(x_BLC, None, causal=False).weights_BHLS)
    return Outcome(
        [
            Finding(
                "With one shared matrix and unsplit heads, the attention maps of all heads are the same at the start.",
                start <= EQUAL,
                {"heads": HEADS, "largest difference between heads": size(start)},
            ),
            Finding(
                "They are still the same when the weights have moved: after twenty steps of gradient descent.",
                after <= EQUAL and moved > 0.01,
                {"largest change of a weight": f"{moved:.2f}", "largest difference between heads": size(after)},
            ),
            Finding(
                "It is the missing split that does it, not the sharing: three unsplit matrices give equal maps too.",
                three <= EQUAL,
                {"largest difference between heads": size(three)},
                remark=True,
            ),
            Finding(
                "One shared matrix whose output is split among the heads gives different maps.",
                split > 0.01,
                {"largest difference between heads": size(split)},
                remark=True,
            ),
        ]
    )


def any_model_width() -> Outcome:
    """C20: "d_model must be divisible by the number of heads". It must where D = d_model / H; D is free otherwise.

    Queries, keys and values have width H D, and the output map leads from H D back to d_model, whatever the two are.
    """
    d_model, heads, rows, refusal = 100, 3, [], ""
    try:
        ModelConfig(d_model=d_model, heads=heads).check()
    except ValueError as error:
        refusal = str(error)
    built = []
    for head_dim in (16, 33, 64):
        ModelConfig(d_model=d_model, heads=heads, head_dim=head_dim).check()
        made = site(strategy("projection=separate"), d_model, heads, head_dim)
        y_BLC = made(vectors(1, LENGTH, d_model), None, True)
        built.append(y_BLC.shape == (1, LENGTH, d_model) and bool(y_BLC.isfinite().all()))
        rows.append([d_model, heads, head_dim, heads * head_dim, "runs" if built[-1] else "fails"])
    return Outcome(
        [
            Finding(
                f"Where a head's width is d_model / heads, d_model={d_model} with {heads} heads cannot be built.",
                bool(refusal),
                {"answer": refusal or "none"},
            ),
            Finding(
                f"d_model={d_model} with {heads} heads cannot be built where the width of a head is given explicitly.",
                not all(built),
                {"widths tried": ", ".join(str(row[2]) for row in rows), "built and run": sum(built)},
            ),
        ],
        [Table("Widths given explicitly", ["d_model", "heads", "head_dim", "heads x head_dim", "outcome"], rows)],
    )


def _descend(made: SelfAttention, x_BLC: torch.Tensor, steps: int) -> float:
    """Gradient descent towards random targets; returns the largest change of a weight of the query map."""
    target_BLC = vectors(*x_BLC.shape, seed=2)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.5)
    before = [weight.detach().clone() for weight in made.project.parameters()]
    for _ in range(steps):
        optimizer.zero_grad()
        (made(x_BLC, None, False) - target_BLC).square().mean().backward()
        optimizer.step()
    return max(gap(weight.detach(), old) for weight, old in zip(made.project.parameters(), before, strict=True))
