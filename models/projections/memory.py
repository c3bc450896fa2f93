"""The same strategy with other numbers of key and value heads: what it may remember of a token."""

from collections.abc import Iterator
from dataclasses import replace

from models.projections.config import ProjectionConfig


def with_other_heads(config: ProjectionConfig, d_model: int, heads: int, head_dim: int) -> Iterator[ProjectionConfig]:
    """The strategy itself, then with every other number of key and value heads that serves its query heads evenly.

    From many to few. Which of them mean something `check` knows.
    """
    yield config
    sizes = config.sizes(d_model, heads, head_dim)
    for number in range(sizes.heads, 0, -1):
        if sizes.heads % number == 0 and number != sizes.kv_heads:
            yield replace(config, kv_heads=number)


def heads_changed(before: ProjectionConfig, after: ProjectionConfig) -> str:
    """In words, how many key and value heads there are now; empty where they are as they were."""
    return "" if before == after else f"kv_heads {before.kv_heads or 'as queries'} -> {after.kv_heads}"
