"""How many weights the query, key and value maps have.

H heads with keys of width d_k and values of width d_v: W_Q and W_K are [d_model, H d_k] each, W_V is [d_model, H d_v],
together H d_model (2 d_k + d_v). At d_k = d_v = d_model / H that is 3 d_model^2; one shared matrix has d_model^2.
"""

from dataclasses import replace

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import site, strategy

SIZES = ((64, 4, 16, 16), (512, 8, 64, 64), (64, 4, 16, 32), (96, 6, 8, 16))  # d_model, heads, d_k, d_v


def count_parameters() -> Outcome:
    """C11: "total parameters are heads x 3 x d_model x (d_k + d_v); shared is a third"."""
    rows, noted, right = [], [], []
    for d_model, heads, d_k, d_v in SIZES:
        config = replace(strategy("projection=separate"), value_head_dim=d_v)
        counted = _weights(config, d_model, heads, d_k)
        noted.append(heads * 3 * d_model * (d_k + d_v) == counted)
        right.append(heads * d_model * (2 * d_k + d_v) == counted)
        formulas = [heads * 3 * d_model * (d_k + d_v), heads * d_model * (2 * d_k + d_v)]
        rows.append([d_model, heads, d_k, d_v, counted, *formulas])
    d_model, heads, d_k, _ = SIZES[1]
    three, one = (
        _weights(strategy(choice), d_model, heads, d_k) for choice in ("projection=separate", "projection=shared")
    )
    return Outcome(
        [
            Finding(
                "W_Q, W_K and W_V together have heads x 3 x d_model x (d_k + d_v) weights.",
                all(noted),
                {"sizes tried": len(noted), "right": sum(noted)},
            ),
            Finding(
                "One shared matrix has a third of the weights of three (biases and output map not counted).",
                3 * one == three,
                {"three matrices": three, "one matrix": one},
            ),
            Finding(
                "The right formula is heads x d_model x (2 d_k + d_v).",
                all(right),
                {"sizes tried": len(right), "right": sum(right)},
                remark=True,
            ),
            Finding(
                "With the output map, which nobody shares, a shared site has half of the weights, not a third.",
                2 * (one + d_model**2) == three + d_model**2,
                {"three matrices": three + d_model**2, "one matrix": one + d_model**2},
                remark=True,
            ),
        ],
        [
            Table(
                "Counted in the module, and by formula",
                ["d_model", "heads", "d_k", "d_v", "counted", "the note's formula", "heads x d_model x (2 d_k + d_v)"],
                rows,
            )
        ],
    )


def _weights(config, d_model: int, heads: int, head_dim: int) -> int:
    return sum(weight.numel() for weight in site(config, d_model, heads, head_dim).project.parameters())
