"""Half the cache without training: values computed from the keys that are kept anyway (2503.05840).

With as many key heads as query heads W_K is square, [C, C]. If it is invertible, x = K W_K^-1 and V = x W_V =
K (W_K^-1 W_V): keep K before rotation, and one more matrix. In floating point the error grows with the condition number
of W_K, largest over smallest singular value. With fewer key heads W_K is [C, G D], G D < C: x cannot be got back, and
V = K M + rest, the rest being what the best M in the sense of least squares leaves.
"""

import torch
from torch import Tensor

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import site, strategy, vectors
from models.attention import SelfAttention

SIZES, HEADS, LENGTH = (64, 256), 4, 32
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def values_from_keys() -> Outcome:
    """L07: "any trained multi-head attention can halve its cache exactly, up to numerical conditioning"."""
    rows, exact, loose = [], [], []
    for d_model in SIZES:
        made = site(strategy("projection=separate"), d_model, HEADS)
        initial = made.project.matrix("k").detach()
        for name, w_k in (("as initialised", initial), ("condition number set to 1e6", _conditioned(initial, 1e6))):
            errors = {p: _error(made, w_k, dtype) for p, dtype in PRECISIONS.items()}
            exact.append(errors["float64"])
            loose.append(errors["bfloat16"])
            condition = torch.linalg.cond(w_k).item()
            rows.append([d_model, name, f"{condition:.1g}", *(_rounded(error) for error in errors.values())])
    few, full = (site(strategy(choice), SIZES[0], HEADS) for choice in ("projection=gqa", "projection=separate"))
    rest, none = (
        _unreachable(made.project.matrix("k").detach(), made.project.matrix("v").detach()) for made in (few, full)
    )
    width = full.project.memory_width
    return Outcome(
        [
            Finding(
                "Where W_K is square and invertible, values follow from keys, in float64 to within rounding: the cache "
                "is halved without a change of the function.",
                max(exact) < 1e-9,
                {
                    "numbers kept per token": f"{width // 2} instead of {width}",
                    "largest relative error": _rounded(max(exact)),
                },
            ),
            Finding(
                "Conditioning decides in low precision: in bfloat16 the values of a badly conditioned W_K are lost.",
                max(loose) > 0.5 > min(loose),
                {
                    "relative error in bfloat16, as initialised": _rounded(loose[0]),
                    "badly conditioned": _rounded(loose[1]),
                    "values themselves rounded to bfloat16": _rounded(_rounding(full)),
                },
                remark=True,
            ),
            Finding(
                "With fewer key heads than query heads (GQA) it does not work: keys do not determine the input.",
                rest > 0.1 > none,
                {
                    "share of W_V out of reach, two key heads of four": f"{rest:.0%}",
                    "as many key heads as query heads": f"{none:.0%}",
                },
                remark=True,
            ),
        ],
        [
            Table(
                "Relative error of the values, |V' - V| / |V|, with keys and the extra matrix kept in this precision",
                ["d_model", "W_K", "condition number", *PRECISIONS],
                rows,
            )
        ],
    )


def _error(made: SelfAttention, w_k: Tensor, dtype: torch.dtype) -> float:
    """Relative Frobenius error of K (W_K^-1 W_V), the matrix worked out in float64 and both kept in `dtype`."""
    x_LC, w_v = vectors(LENGTH, w_k.shape[0]), made.project.matrix("v").detach()
    keys, extra = (x_LC @ w_k).to(dtype), torch.linalg.solve(w_k, w_v).to(dtype)
    wanted = x_LC @ w_v
    return ((keys @ extra).double() - wanted).norm().item() / wanted.norm().item()


def _rounding(made: SelfAttention) -> float:
    """Relative error of values that are worked out in float64 and kept in bfloat16: what a cache of them has anyway."""
    values = vectors(LENGTH, SIZES[0]) @ made.project.matrix("v").detach()
    return (values.bfloat16().double() - values).norm().item() / values.norm().item()


def _rounded(error: float) -> str:
    """One digit; what comes of rounding in float64 depends on the machine."""
    return "below 1e-9" if error < 1e-9 else f"{error:.1g}"


def _conditioned(matrix: Tensor, condition: float) -> Tensor:
    """The matrix with its singular values spread evenly on a logarithmic scale from 1 to 1 / condition."""
    u, s, vh = torch.linalg.svd(matrix)
    spread = torch.logspace(0, -torch.tensor(condition).log10().item(), len(s), dtype=matrix.dtype)
    return u @ torch.diag(spread) @ vh


def _unreachable(w_k: Tensor, w_v: Tensor) -> float:
    """The share of |W_V|^2 that no W_K M has: what lies outside the column space of W_K."""
    q, _ = torch.linalg.qr(w_k)
    rest = w_v - q @ (q.T @ w_v)
    return (rest.square().sum() / w_v.square().sum()).item()
