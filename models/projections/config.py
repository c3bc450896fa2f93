"""What a strategy is: one flat, typed description of how queries, keys and values are made at one attention site."""

from dataclasses import dataclass

# A tie says which roles share one map. Each group bears its roles in order; its first role names the map.
TIES: dict[str, tuple[str, ...]] = {
    "q-k-v": ("q", "k", "v"),
    "qk-v": ("qk", "v"),
    "q-kv": ("q", "kv"),
    "qv-k": ("qv", "k"),
    "qkv": ("qkv",),
}
ROLES = ("q", "k", "v")
MAPS = ("dense", "low_rank", "block_diagonal")
STORAGES = ("fused", "per_role", "per_head")


@dataclass
class ProjectionConfig:
    """One strategy. Every file in `conf/projection/` states all it changes against `separate.yaml`.

    The fields combine freely; `check` refuses the mixtures that mean nothing, with the reason.
    """

    name: str = "separate"
    tie: str = "q-k-v"  # which roles share one map, a key of TIES
    map: str = "dense"  # what every learned map is: dense | low_rank | block_diagonal
    identity: str = ""  # the roles that take the input unchanged, such as "q" or "qkv"
    rank: int | None = None  # low_rank: width of the bottleneck
    role_scale: bool = False  # a learned diagonal per role on top of the shared map (2412.00359)
    role_rank: int | None = None  # a learned low-rank addition per role on top of the shared map
    kv_heads: int | None = None  # key/value heads; none: as many as query heads
    storage: str = "fused"  # how dense weights lie in memory: fused | per_role | per_head; never mathematics

    def groups(self) -> tuple[str, ...]:
        """The roles by map, such as ("q", "kv")."""
        return TIES[self.tie]

    def group_of(self, role: str) -> str:
        """The group of roles that shares `role`'s map."""
        return next(group for group in self.groups() if role in group)
