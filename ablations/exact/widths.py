"""Which widths are free: that of the feed-forward layer, and that of values beside keys.

The feed-forward layer maps d_model to d_ff and back with matrices of its own, so attention has no say in d_ff. In
attention q.k needs queries and keys of one width d_k; the output sum_j A_ij v_j has the width d_v of the values, and
W_O leads from H d_v to d_model. Per query and key, q.k costs 2 d_k and A v costs 2 d_v operations in each head.
"""

from dataclasses import replace

from ablations.exact.findings import Finding, Outcome, Table
from ablations.exact.make import site, strategy, vectors
from models.config import ModelConfig, PositionConfig, SitesConfig
from models.init import initialise
from models.projections.config import TIES
from models.projections.cost import cost
from models.transformer import LanguageModel

D_MODEL, HEADS, LENGTH, VOCABULARY = 64, 4, 6, 11


def any_feed_forward_width() -> Outcome:
    """C06: "without projections the feed-forward width is bound to d_model"."""
    plain, rows, free = strategy("projection=identity"), [], []
    for d_ff in (16, 64, 100, 1000):
        sizes = ModelConfig(d_model=D_MODEL, heads=HEADS, d_ff=d_ff, decoder_layers=1, dropout=0.0)
        sizes.check()
        model = LanguageModel(sizes, SitesConfig(plain, plain, plain), PositionConfig(), VOCABULARY, LENGTH).double()
        initialise(model, seed=0, scheme="xavier", layers=1)
        logits = model(vectors(1, LENGTH).abs().long() % VOCABULARY)
        logits.logsumexp(-1).sum().backward()
        trains = all(w.grad is not None and bool(w.grad.isfinite().all()) for w in model.parameters())
        free.append(trains)
        rows.append(
            [D_MODEL, d_ff, sum(w.numel() for w in model.parameters()), "runs, has gradients" if trains else "fails"]
        )
    return Outcome(
        [
            Finding(
                "A model without projections can only be built with d_ff = d_model.",
                sum(free) <= 1,
                {"widths tried": ", ".join(str(row[1]) for row in rows), "built and run": sum(free)},
            )
        ],
        [Table("Models without projections", ["d_model", "d_ff", "parameters", "outcome"], rows)],
    )


def any_value_width() -> Outcome:
    """C27, the half that needs no training: "d_k and d_v may differ"."""
    d_k, rows, sound = D_MODEL // HEADS, [], []
    apart = strategy("projection=separate")
    for d_v in (8, 16, 32):
        config = replace(apart, value_head_dim=d_v)
        made = site(config, D_MODEL, HEADS)
        x_BLC = vectors(1, LENGTH, D_MODEL)
        look, y_BLC = made.look(x_BLC, None, causal=True), made(x_BLC, None, True)
        y_BLC.square().sum().backward()
        sound.append(
            y_BLC.shape == x_BLC.shape
            and (look.k_BGSD.shape[-1], look.v_BGSE.shape[-1]) == (d_k, d_v)
            and all(w.grad is not None and bool(w.grad.abs().sum() > 0) for w in made.parameters())
        )
        costs = cost(config, D_MODEL, HEADS, d_k, bias=False)
        weights = sum(w.numel() for w in made.project.parameters())
        rows.append([d_k, d_v, weights, costs.pair_flops, costs.memory_width, "runs" if sound[-1] else "fails"])
    ties = [[tie, _answer(replace(apart, tie=tie, value_head_dim=2 * d_k), d_k)] for tie in TIES]
    return Outcome(
        [
            Finding(
                "Values may be narrower or wider than keys: the site runs, and every matrix gets a gradient.",
                all(sound),
                {"d_v tried beside d_k = 16": "8, 16, 32", "built and run": sum(sound)},
            ),
            Finding(
                "What it changes is the cost of values alone: each step of d_v adds as much.",
                len({(b[i] - a[i]) / (b[1] - a[1]) for a, b in zip(rows, rows[1:], strict=False) for i in (3,)}) == 1,
                {
                    "operations per query and key and unit of d_v": (rows[1][3] - rows[0][3])
                    // (rows[1][1] - rows[0][1])
                },
                remark=True,
            ),
            Finding(
                "Where values share the map of queries or keys the widths are bound to each other.",
                all(
                    (answer == "allowed") == ("v" in groups)
                    for (_, answer), groups in zip(ties, TIES.values(), strict=True)
                ),
                {"ties that allow it": ", ".join(tie for tie, answer in ties if answer == "allowed")},
                remark=True,
            ),
        ],
        [
            Table(
                f"d_model = {D_MODEL}, {HEADS} heads",
                [
                    "d_k",
                    "d_v",
                    "weights of W_Q, W_K, W_V",
                    "operations per query and key",
                    "cache per token",
                    "outcome",
                ],
                rows,
            ),
            Table("d_v = 32 beside d_k = 16, by which roles share a map", ["roles that share", "answer"], ties),
        ],
    )


def _answer(config, head_dim: int) -> str:
    try:
        config.check(D_MODEL, HEADS, head_dim)
    except ValueError as error:
        return str(error)
    return "allowed"
