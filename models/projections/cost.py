"""What a strategy costs, by arithmetic alone; tests hold the figures against the module itself."""

from dataclasses import dataclass

from models.projections.config import ROLES, ProjectionConfig


@dataclass(frozen=True)
class Cost:
    """Of the query, key and value maps of one site."""

    weights: int  # entries of matrices and diagonals
    biases: int
    query_flops: int  # per token, a multiplication and an addition counted as two
    memory_flops: int  # per remembered token, when it is remembered apart from the queries (cross-attention)
    joint_flops: int  # per token where queries and memory come from the same input (self-attention)
    memory_width: int  # numbers remembered per token


def cost(config: ProjectionConfig, d_model: int, heads: int, head_dim: int, bias: bool) -> Cost:
    """Exact counts of weights and remembered numbers; FLOPs of the products only (biases and diagonals left out)."""
    kv_heads = config.kv_heads or heads
    width = {"q": heads * head_dim, "k": kv_heads * head_dim, "v": kv_heads * head_dim}
    weights = {g: _map_weights(config, d_model, width[g[0]], head_dim) for g in _learned(config)}
    additions = {r: config.role_rank * (d_model + width[r]) if config.role_rank else 0 for r in ROLES}

    def flops(roles: str) -> int:
        groups = {config.group_of(role) for role in roles}
        return 2 * (sum(w for g, w in weights.items() if g in groups) + sum(additions[r] for r in roles))

    one_memory = config.group_of("k") == config.group_of("v") and config.role_rank is None
    return Cost(
        weights=sum(weights.values()) + sum(additions.values()) + (sum(width.values()) if config.role_scale else 0),
        biases=sum(width[g[0]] for g in weights) if bias else 0,
        query_flops=flops("q"),
        memory_flops=flops("kv"),
        joint_flops=flops("qkv"),
        memory_width=width["k"] * (1 if one_memory else 2),
    )


def _learned(config: ProjectionConfig) -> list[str]:
    return [group for group in config.groups() if group[0] not in config.identity]


def _map_weights(config: ProjectionConfig, d_model: int, width: int, head_dim: int) -> int:
    if config.map == "low_rank":
        assert config.rank is not None
        return config.rank * (d_model + width)
    if config.map == "block_diagonal":
        return d_model * head_dim  # N blocks of C/N x D
    return d_model * width
