"""What a strategy is: one flat, typed description of how queries, keys and values are made at one attention site."""

from dataclasses import dataclass

from models.projections.choice import one_of

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

    def check(self, d_model: int, heads: int, head_dim: int) -> None:
        """Raise a ValueError with the reason unless this strategy means something at these sizes."""
        one_of("tie", self.tie, TIES)
        one_of("map", self.map, MAPS)
        one_of("storage", self.storage, STORAGES)
        self._check_heads(heads)
        self._check_identity(d_model, heads, head_dim)
        self._check_map(d_model, heads, head_dim)
        self._check_role_parts(d_model)

    def _check_heads(self, heads: int) -> None:
        if self.kv_heads is None:
            return
        if self.kv_heads < 1 or heads % self.kv_heads:
            raise ValueError(
                f"kv_heads={self.kv_heads} cannot serve {heads} query heads evenly: choose a divisor of {heads}"
            )
        if self.kv_heads != heads and self.group_of("q") != "q":
            apart = "q-kv" if self.tie == "qkv" else "q-k-v"
            raise ValueError(
                f"cannot share one map between {heads} query heads and {self.kv_heads} key/value heads: "
                f"set kv_heads={heads} or tie={apart}"
            )

    def _check_identity(self, d_model: int, heads: int, head_dim: int) -> None:
        if not self.identity:
            return
        roles = "".join(role for role in ROLES if role in self.identity)
        if roles != self.identity:
            raise ValueError(f"identity={self.identity!r} must name roles out of q, k, v, each once and in this order")
        if roles not in self.groups():
            tie = next(tie for tie, groups in TIES.items() if roles in groups)
            raise ValueError(
                f"identity={roles} is not one of the maps of tie={self.tie} ({', '.join(self.groups())}): set tie={tie}"
            )
        if heads * head_dim != d_model:
            raise ValueError(
                f"identity={roles} takes the input of width d_model={d_model} for {heads} heads of width {head_dim}: "
                f"set heads * head_dim = {d_model}"
            )
        if self.kv_heads not in (None, heads) and roles != "q":
            raise ValueError(
                f"identity={roles} gives keys or values as many heads as queries, {heads}: set kv_heads={heads}"
            )

    def _check_map(self, d_model: int, heads: int, head_dim: int) -> None:
        if self.map == "low_rank" and self.rank is None:
            raise ValueError(f"map=low_rank needs a rank: set rank between 1 and {d_model}")
        if self.map != "low_rank" and self.rank is not None:
            raise ValueError(f"rank={self.rank} has no meaning for map={self.map}: set map=low_rank or rank=null")
        if self.rank is not None and not 1 <= self.rank <= min(d_model, heads * head_dim):
            raise ValueError(f"rank={self.rank} must be between 1 and {min(d_model, heads * head_dim)}")
        if self.map == "block_diagonal" and d_model % heads:
            raise ValueError(
                f"map=block_diagonal cuts d_model={d_model} into {heads} equal slices: make d_model a multiple of heads"
            )
        if self.map != "dense" and self.identity == "qkv":
            raise ValueError(f"identity=qkv leaves no map to be {self.map}: set map=dense")
        if self.map != "dense" and self.storage != "per_role":
            raise ValueError(f"storage={self.storage} is for dense maps: set storage=per_role with map={self.map}")

    def _check_role_parts(self, d_model: int) -> None:
        shares = self.tie != "q-k-v" or self.identity
        for key, given in {"role_scale": self.role_scale, "role_rank": self.role_rank is not None}.items():
            if given and not shares:
                raise ValueError(f"{key} tells roles with one map apart, and tie=q-k-v shares none: choose another tie")
        if self.role_rank is not None and not 1 <= self.role_rank <= d_model:
            raise ValueError(f"role_rank={self.role_rank} must be between 1 and {d_model}")
