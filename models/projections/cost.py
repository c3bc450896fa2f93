"""What a strategy costs, by arithmetic alone; tests hold the figures against the module itself."""

from dataclasses import dataclass

from models.projections.config import ROLES, ProjectionConfig, Sizes


@dataclass(frozen=True)
class Cost:
    """Of one attention site: maps and score first, the output map apart."""

    weights: int  # entries of the matrices and diagonals that make queries, keys and values, and of the score
    biases: int
    output_weights: int  # entries of W_O
    output_biases: int
    query_flops: int  # per token, a multiplication and an addition counted as two
    memory_flops: int  # per remembered token, when it is remembered apart from the queries (cross-attention)
    joint_flops: int  # per token where queries and memory come from the same input (self-attention)
    pair_flops: int  # per query and key: the score, and the value's share of the output
    memory_width: int  # numbers remembered per token


def cost(config: ProjectionConfig, d_model: int, heads: int, head_dim: int, bias: bool) -> Cost:
    """Exact counts of weights and remembered numbers; FLOPs of the products only.

    Biases, diagonals, norms of keys and the tanh of additive scores are left out.
    """
    sizes = config.sizes(d_model, heads, head_dim)
    H, D, E = sizes.heads, sizes.head_dim, sizes.value_head_dim
    weights = {g: _map_weights(config, sizes, g[0]) for g in _learned(config)}
    slices = {g: sizes.heads_of(g[0]) if config.map == "one_slice" else 1 for g in weights}  # times a matrix is used
    additions = {r: config.role_rank * (d_model + sizes.width_of(r)) if config.role_rank else 0 for r in ROLES}
    A = config.score_width or D
    between = {"general": H * D * D, "pairwise": H * D * D}.get(config.score, 0)
    hidden = 0 if config.by_angle else H * D * A  # on either side

    def flops(roles: str) -> int:
        groups = {g for g in weights if set(g) & set(roles)}
        if config.remove_conflict:  # a product per role
            products = sum(len(set(g) & set(roles)) * weights[g] for g in groups)
        else:
            products = sum(slices[g] * weights[g] for g in groups)
        products += sum(additions[r] for r in roles) + (between + hidden) * ("q" in roles) + hidden * ("k" in roles)
        return 2 * products

    one_memory = (
        config.group_of("k") == config.group_of("v") and config.role_rank is None and not config.remove_conflict
    )
    scales = sum(sizes.width_of(r) for r in ROLES) if config.role_scale else 0
    learned = config.output == "learned"
    return Cost(
        weights=sum(weights.values())
        + sum(additions.values())
        + scales
        + between
        + 2 * hidden
        + (H * A if hidden else 0),
        biases=sum(_bias(config, sizes, g[0]) for g in weights) if bias else 0,
        output_weights=H * E * d_model if learned else 0,
        output_biases=d_model if learned and bias else 0,
        query_flops=flops("q"),
        memory_flops=flops("kv"),
        joint_flops=flops("qkv"),
        pair_flops=2 * H * ((A if hidden else D) + E),
        memory_width=sum(sizes.width_of(r) for r in ("k" if one_memory else "kv")),
    )


def _learned(config: ProjectionConfig) -> list[str]:
    return [group for group in config.groups() if group[0] not in config.identity]


def _map_weights(config: ProjectionConfig, sizes: Sizes, role: str) -> int:
    width, dim = sizes.width_of(role), sizes.dim_of(role)
    if config.map == "low_rank":
        assert config.rank is not None
        return config.rank * (sizes.d_model + width)
    if config.map == "block_diagonal":
        return sizes.d_model * dim  # N blocks of C/N x D
    if config.map == "one_slice":
        return sizes.d_model // sizes.heads_of(role) * dim
    return sizes.d_model * width


def _bias(config: ProjectionConfig, sizes: Sizes, role: str) -> int:
    return sizes.dim_of(role) if config.map == "one_slice" else sizes.width_of(role)
