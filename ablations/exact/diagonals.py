"""One matrix with a learned diagonal per role: q = s a, k = s b, v = s c (componentwise), s = x W.

Scores, per head: S_ij = sum_m a_m b_m s_im s_jm / sqrt(D). Only the product p = a b matters, and S is symmetric. Let
t = s sqrt|p|, which is x W' with the columns of W scaled. Then S_ij = sum_m sign(p_m) t_im t_jm / sqrt(D), and
v = t c / sqrt|p|, whose diagonal c / sqrt|p| is absorbed by W_O. So, where no p_m is 0, the strategy is Q=K=V with W'
and another W_O, up to the signs of p:

- all p_m > 0: it is Q=K=V, exactly;
- mixed signs: sum_m sign(p_m) t_im t_jm is not positive semidefinite, while the scores of Q=K=V always are, so no Q=K=V
  has these scores;
- rotary positions turn pairs (m, m + D/2): a and b can be pulled through the rotation only where they are equal within
  each pair. Otherwise S is no longer symmetric, while that of Q=K=V is, also under rotary positions.
"""

import torch
from torch import Tensor

from ablations.exact.findings import Finding, Outcome
from ablations.exact.make import EQUAL, gap, site, size, strategy, vectors
from ablations.exact.symmetry import asymmetry
from models.attention import SelfAttention

D_MODEL, HEADS, LENGTH = 32, 4, 12
D = D_MODEL // HEADS


def shared_with_diagonals() -> Outcome:
    """L03 (2412.00359): "one matrix with three learned diagonals matches separate ones"; the algebra of it."""
    x_BLC = vectors(1, LENGTH, D_MODEL)
    a, b, c = (0.5 + vectors(D_MODEL, seed=seed).abs() for seed in (2, 3, 4))
    signs = vectors(D_MODEL, seed=5).sign()
    positive, mixed = _scaled(a, b, c), _scaled(a * signs, b, c)

    plain = _absorbed(positive, a, b, c)
    equal = gap(positive(x_BLC, None, True), plain(x_BLC, None, True))
    swapped = gap(positive(x_BLC, None, True), _scaled(a * b, torch.ones(D_MODEL), c)(x_BLC, None, True))

    look, other = mixed.look(x_BLC, None, False), plain.look(x_BLC, None, False)
    signed_q = other.q_BHLD * signs.view(HEADS, 1, D)
    up_to_signs = gap(look.scores_BHLS, signed_q @ other.k_BGSD.mT * D**-0.5)
    lowest = [torch.linalg.eigvalsh(scores).min().item() for scores in (look.scores_BHLS, other.scores_BHLS)]
    separate = site(strategy("projection=separate"), D_MODEL, HEADS).look(x_BLC, None, False)

    turned = [_scaled(*diagonals, rotary=True) for diagonals in ((a, b, c), tuple(map(_by_pairs, (a, b, c))))]
    folded = _absorbed(turned[1], *map(_by_pairs, (a, b, c)), rotary=True)
    turned_asymmetry = asymmetry(turned[0].look(x_BLC, None, False).scores_BHLS)
    turned_equal = gap(turned[1](x_BLC, None, True), folded(x_BLC, None, True))
    return Outcome(
        [
            Finding(
                "One matrix with three diagonals can compute what separate matrices compute.",
                asymmetry(look.scores_BHLS) > EQUAL or asymmetry(separate.scores_BHLS) <= EQUAL,
                {
                    "largest |S_ij - S_ji|, one matrix with diagonals": size(asymmetry(look.scores_BHLS)),
                    "separate matrices": size(asymmetry(separate.scores_BHLS)),
                },
            ),
            Finding(
                "Without rotary positions, and with products a b of query and key diagonal above 0, it is Q=K=V: the "
                "columns of W scaled by sqrt(a b), the value diagonal absorbed by the output map.",
                equal <= EQUAL,
                {"largest difference of outputs": size(equal)},
            ),
            Finding(
                "With products of both signs it is Q=K=V up to those signs.",
                up_to_signs <= EQUAL,
                {"largest difference of scores": size(up_to_signs)},
            ),
            Finding(
                "Of the query and the key diagonal only the product counts: a and b, or a b and 1.",
                swapped <= EQUAL,
                {"largest difference of outputs": size(swapped)},
                remark=True,
            ),
            Finding(
                "With products of both signs no Q=K=V has the same scores: theirs have no eigenvalue below 0.",
                lowest[0] < -0.01 and lowest[1] > -EQUAL,
                {
                    "smallest eigenvalue of the scores, mixed signs": f"{lowest[0]:.2f}",
                    "Q=K=V": size(max(0.0, -lowest[1])),
                },
                remark=True,
            ),
            Finding(
                "Under rotary positions it is not Q=K=V: its scores are no longer symmetric.",
                turned_asymmetry > 0.01,
                {"largest |S_ij - S_ji|": size(turned_asymmetry)},
                remark=True,
            ),
            Finding(
                "Under rotary positions it is Q=K=V where the diagonals are equal within each pair that is turned.",
                turned_equal <= EQUAL,
                {"largest difference of outputs": size(turned_equal)},
                remark=True,
            ),
        ]
    )


def _scaled(a: Tensor, b: Tensor, c: Tensor, rotary: bool = False) -> SelfAttention:
    """A site of the strategy with these diagonals."""
    made = site(strategy("projection=shared_scaled"), D_MODEL, HEADS, rotary=rotary)
    diagonals = {f"project.scale.{role}": d for role, d in zip("qkv", (a, b, c), strict=True)}
    made.load_state_dict({**made.state_dict(), **diagonals})
    return made


def _absorbed(scaled: SelfAttention, a: Tensor, b: Tensor, c: Tensor, rotary: bool = False) -> SelfAttention:
    """The Q=K=V site that the algebra above gives, a b > 0."""
    state, root = scaled.state_dict(), (a * b).sqrt()
    made = site(strategy("projection=shared"), D_MODEL, HEADS, rotary=rotary)
    weight = state["project.maps.q.weight"] * root[:, None]  # stored as [out, in]
    made.load_state_dict({"project.maps.q.weight": weight, "out.weight": state["out.weight"] * (c / root)})
    return made


def _by_pairs(diagonal: Tensor) -> Tensor:
    """The diagonal with the first half of every head repeated: equal within the pairs that rotary positions turn."""
    return diagonal.view(HEADS, 2, D // 2)[:, :1].expand(-1, 2, -1).flatten()
