"""What a strategy is: one flat, typed description of how queries, keys and values are made at one attention site."""

from dataclasses import dataclass
from typing import Any

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
MAPS = ("dense", "low_rank", "block_diagonal", "one_slice")
STORAGES = ("fused", "per_role", "per_head")
SCORES = ("scaled_dot", "dot", "general", "pairwise", "additive", "concat")
SCORE_STARTS = ("identity", "symmetric", "xavier")
KEY_NORMS = ("", "rms", "l2")
OUTPUTS = ("learned", "identity")
INITIAL = ("symmetric_init", "score_init")  # matter to initial weights alone


@dataclass(frozen=True)
class Sizes:
    """The widths of one attention site."""

    d_model: int
    heads: int  # query heads
    own_heads: int  # query heads with vectors of their own: 1 where heads are unsplit, else `heads`
    kv_heads: int
    head_dim: int  # D, of a query or key head
    value_head_dim: int  # E, of a value head

    def heads_of(self, role: str) -> int:
        """How many heads a role's map makes."""
        return self.own_heads if role == "q" else self.kv_heads

    def dim_of(self, role: str) -> int:
        """Width of one head of a role."""
        return self.value_head_dim if role == "v" else self.head_dim

    def width_of(self, role: str) -> int:
        """Width of a role's vectors, all heads together."""
        return self.heads_of(role) * self.dim_of(role)


@dataclass
class ProjectionConfig:
    """One strategy: the maps, the score of a query and a key, the output map. Files: `conf/projection/`.

    The fields combine freely; `check` refuses the mixtures that mean nothing, with the reason.
    """

    name: str = "separate"
    tie: str = "q-k-v"  # which roles share one map, a key of TIES
    map: str = "dense"  # what every learned map is: dense | low_rank | block_diagonal | one_slice
    identity: str = ""  # the roles that take the input unchanged, such as "q" or "qkv"
    rank: int | None = None  # low_rank: width of the bottleneck
    role_scale: bool = False  # a learned diagonal per role on top of the shared map (2412.00359)
    role_rank: int | None = None  # a learned low-rank addition per role on top of the shared map
    kv_heads: int | None = None  # key/value heads; none: as many as query heads
    storage: str = "fused"  # how dense weights lie in memory: fused | per_role | per_head; never mathematics
    heads: int | None = None  # query heads of this site, of width d_model / heads; none: as the model says
    value_head_dim: int | None = None  # width of a value head; none: that of a key head
    unsplit: bool = False  # all heads share the vectors of one map to the width of a head: none has a slice of its own
    symmetric_init: bool = False  # W_k starts as W_q and is free afterwards (Saponati et al. 2025)
    remove_conflict: bool = False  # a shared matrix learns from its roles without what they contradict each other in
    score: str = "scaled_dot"  # how a query meets a key, see score.py
    score_width: int | None = None  # additive, concat: width of the hidden layer; none: that of a head
    score_init: str = "xavier"  # general, pairwise: what the matrix between q and k starts as
    key_norm: str = ""  # keys divided by their root mean square (rms) or their length (l2); empty: as they are
    no_self: bool = False  # self-attention: a position sees itself only where it sees nothing else (Reformer)
    output: str = "learned"  # W_O: learned | identity

    def groups(self) -> tuple[str, ...]:
        """The roles by map, such as ("q", "kv")."""
        return TIES[self.tie]

    def group_of(self, role: str) -> str:
        """The group of roles that shares `role`'s map."""
        return next(group for group in self.groups() if role in group)

    @property
    def by_angle(self) -> bool:
        """Whether a score is a product of query and key, and not a sum of what each says by itself."""
        return self.score not in ("additive", "concat")

    @property
    def stackable(self) -> bool:
        """Whether several runs can be trained at once: not where the backward pass changes a gradient of one."""
        return not self.remove_conflict

    def in_training(self) -> dict[str, Any]:
        """What still matters once there are initial weights: two strategies equal in it compute the same with them."""
        return {key: value for key, value in vars(self).items() if key not in ("name", *INITIAL)}

    def sizes(self, d_model: int, heads: int, head_dim: int) -> Sizes:
        """The site's widths in a model with so many heads of this width."""
        if self.heads is not None:
            heads, head_dim = self.heads, d_model // self.heads
        own = 1 if self.unsplit else heads
        return Sizes(d_model, heads, own, self.kv_heads or own, head_dim, self.value_head_dim or head_dim)

    def check(self, d_model: int, heads: int, head_dim: int) -> None:
        """Raise a ValueError with the reason unless this strategy means something at these sizes."""
        for key, names in CHOICES.items():
            one_of(key, getattr(self, key), names)
        self._check_sizes(d_model, heads)
        sizes = self.sizes(d_model, heads, head_dim)
        self._check_heads(sizes)
        self._check_identity(sizes)
        self._check_map(sizes)
        self._check_role_parts(d_model)
        self._check_score()
        if self.output == "identity" and sizes.heads * sizes.value_head_dim != d_model:
            raise ValueError(
                f"output=identity adds {sizes.heads} value heads of width {sizes.value_head_dim} to d_model={d_model} "
                f"as they are: set heads * value width = {d_model}, or output=learned"
            )

    def _check_sizes(self, d_model: int, heads: int) -> None:
        if self.heads is not None and (self.heads < 1 or d_model % self.heads):
            raise ValueError(f"heads={self.heads} cannot share out d_model={d_model}: choose a divisor of {d_model}")
        for key in ("value_head_dim", "score_width"):
            if (given := getattr(self, key)) is not None and given < 1:
                raise ValueError(f"{key}={given} must be at least 1, or null for the width of a key head")

    def _check_heads(self, sizes: Sizes) -> None:
        heads = sizes.heads
        if sizes.value_head_dim != sizes.head_dim and self.group_of("v") != "v":
            raise ValueError(
                f"value_head_dim={sizes.value_head_dim} needs a map for values alone, and tie={self.tie} gives them "
                f"the {sizes.head_dim} numbers of another role: choose a tie that ends in -v, or value_head_dim=null"
            )
        if self.kv_heads is None:
            return
        if self.unsplit:
            raise ValueError("unsplit heads share one key and one value vector already: set kv_heads=null")
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

    def _check_identity(self, sizes: Sizes) -> None:
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
        dim, d_model = sizes.dim_of(roles[0]), sizes.d_model
        if sizes.own_heads * dim != d_model:
            wanted = f"head_dim = {d_model}" if self.unsplit else f"heads * head_dim = {d_model}"
            seen = "unsplit heads" if self.unsplit else f"{sizes.heads} heads"
            raise ValueError(
                f"identity={roles} takes the input of width d_model={d_model} for {seen} of width {dim}: set {wanted}"
            )
        if self.kv_heads not in (None, sizes.heads) and roles != "q":
            raise ValueError(
                f"identity={roles} gives keys or values as many heads as queries, {sizes.heads}: "
                f"set kv_heads={sizes.heads}"
            )

    def _check_map(self, sizes: Sizes) -> None:
        d_model = sizes.d_model
        if self.map == "low_rank" and self.rank is None:
            raise ValueError(f"map=low_rank needs a rank: set rank between 1 and {d_model}")
        if self.map != "low_rank" and self.rank is not None:
            raise ValueError(f"rank={self.rank} has no meaning for map={self.map}: set map=low_rank or rank=null")
        most = min(d_model, *(sizes.width_of(role) for role in ROLES))
        if self.rank is not None and not 1 <= self.rank <= most:
            raise ValueError(f"rank={self.rank} must be between 1 and {most}")
        if self.map in ("block_diagonal", "one_slice"):
            if self.unsplit:
                raise ValueError(f"map={self.map} cuts the input into slices, one for each head: set unsplit=false")
            if d_model % sizes.heads:
                raise ValueError(
                    f"map={self.map} cuts d_model={d_model} into {sizes.heads} equal slices: "
                    "make d_model a multiple of heads"
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
        apart = self.group_of("q") != self.group_of("k") and not {"q", "k"} & set(self.identity)
        if self.symmetric_init and not (apart and self.map == "dense" and self.kv_heads is None):
            raise ValueError(
                "symmetric_init starts a learned dense W_k as the W_q of as many heads: set tie=q-k-v or q-kv, "
                "map=dense, kv_heads=null, or symmetric_init=false"
            )
        learned = [group for group in self.groups() if group[0] not in self.identity]
        if self.remove_conflict and not (self.map == "dense" and any(len(group) > 1 for group in learned)):
            raise ValueError(
                "remove_conflict is about a dense matrix that roles share, and here is none: "
                "choose a tie such as qkv, or remove_conflict=false"
            )

    def _check_score(self) -> None:
        hidden, between = not self.by_angle, self.score in ("general", "pairwise")
        if self.score_width is not None and not hidden:
            raise ValueError(f"score_width is the hidden layer of additive and concat: set it to null for {self.score}")
        if self.score_init != "xavier" and not between:
            raise ValueError(f"score_init is for the matrix of general and pairwise: set it to xavier for {self.score}")
        if self.key_norm and hidden:
            raise ValueError(f"key_norm is for products of query and key: set key_norm='' for score={self.score}")


CHOICES = {
    "tie": TIES,
    "map": MAPS,
    "storage": STORAGES,
    "score": SCORES,
    "score_init": SCORE_STARTS,
    "key_norm": KEY_NORMS,
    "output": OUTPUTS,
}
