"""What the logits of attention look like before training, over the model's width.

Let the rows of x have mean 0 and variance 1, as LayerNorm leaves them, so |x_i|^2 = d. At q = k = x with one head of
width d the logit of a position with itself is x_i.x_i / sqrt(d) = sqrt(d): it grows without bound. The logit of two
independent positions has mean 0 and variance 1, whatever d is. So the own weight is about
exp(sqrt(d)) / (exp(sqrt(d)) + (L - 1) sqrt(e)), which tends to 1: attention becomes the identity. With separate
Xavier maps W_q, W_k (variance 1/d) q_i.k_i / sqrt(d) has mean 0 and variance 1: the own logit is one like the others.
"""

import torch
from torch.nn import functional as F

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import site, strategy, vectors

WIDTHS, LENGTH, BATCH = (16, 64, 256, 1024), 64, 4


def logits_without_projections() -> Outcome:
    """C03, the half that needs no training: "d_k is bound to d_model, and dot products are large"."""
    plain, apart = strategy("projection=identity"), strategy("projection=separate")
    rows, own_logit, own_weight, others = [], {}, {}, {}
    for d_model in WIDTHS:
        x_BLC = F.layer_norm(vectors(BATCH, LENGTH, d_model), (d_model,))
        for name, config in (("none", plain), ("separate", apart)):
            look = site(config, d_model, heads=1).look(x_BLC, None, causal=False)
            own, other, weight, entropy = _statistics(look.scores_BHLS, look.weights_BHLS)
            own_logit[name, d_model], own_weight[name, d_model], others[name, d_model] = own, weight, other
            rows.append([d_model, name, f"{own:.2f}", f"{other:.2f}", f"{entropy:.2f}", f"{weight:.3f}"])
    narrow, wide = WIDTHS[0], WIDTHS[-1]
    refused = _refusal(plain)
    return Outcome(
        [
            Finding(
                "Without projections the width of the heads is bound: together they have d_model numbers, one head "
                "alone has d_k = d_model.",
                bool(refused),
                {"asked for one head of width 32 at d_model = 64": refused or "accepted"},
            ),
            Finding(
                "Without projections the largest dot products grow with d_model: that of a position with itself is "
                "sqrt(d_model) after scaling.",
                all(abs(own_logit["none", d] / d**0.5 - 1) < 1e-3 for d in WIDTHS),
                {f"own logit at {d}": f"{own_logit['none', d]:.2f}" for d in (narrow, wide)},
            ),
            Finding(
                "Hence attention starts as a copy of its input: nearly all weight lies on the own position.",
                own_weight["none", wide] > 0.999,
                {f"own weight at {d}": f"{own_weight['none', d]:.3f}" for d in (narrow, wide)},
            ),
            Finding(
                "Between different positions the scaled dot products do not grow: their spread stays near 1.",
                all(0.9 < others["none", d] < 1.1 for d in WIDTHS),
                {f"sd of the others at {d}": f"{others['none', d]:.2f}" for d in (narrow, wide)},
                remark=True,
            ),
            Finding(
                "With separate matrices neither grows, and the own position gets its share of about 1/64.",
                all(abs(own_logit["separate", d]) < 0.5 and own_weight["separate", d] < 0.05 for d in WIDTHS),
                {f"own weight at {d}": f"{own_weight['separate', d]:.3f}" for d in (narrow, wide)},
                remark=True,
            ),
        ],
        [
            Table(
                f"One head over {LENGTH} random positions after LayerNorm, before training "
                f"(highest possible entropy: {torch.tensor(float(LENGTH)).log().item():.2f} nats)",
                ["d_model", "projections", "own logit", "sd of the other logits", "entropy (nats)", "own weight"],
                rows,
            )
        ],
    )


def _statistics(scores_BHLS: torch.Tensor, weights_BHLS: torch.Tensor) -> tuple[float, float, float, float]:
    """Mean own logit, standard deviation of the others, mean own weight, mean entropy in nats."""
    eye = torch.eye(scores_BHLS.shape[-1], dtype=torch.bool)
    entropy = -torch.special.xlogy(weights_BHLS, weights_BHLS).sum(-1).mean()
    own, weight = scores_BHLS[..., eye].mean(), weights_BHLS[..., eye].mean()
    return own.item(), scores_BHLS[..., ~eye].std().item(), weight.item(), entropy.item()


def _refusal(plain) -> str:
    try:
        plain.check(d_model=64, heads=1, head_dim=32)
    except ValueError as error:
        return str(error)
    return ""
