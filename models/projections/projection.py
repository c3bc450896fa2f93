"""One strategy at one site: which weights a role uses, which products are computed, what must be remembered.

Axes: B batch, L length, C model width, H query heads, G key/value heads, D width of a query or key head, E of a value
head.
"""

from typing import cast

import torch
from torch import Tensor, nn

from models.projections.config import ROLES, ProjectionConfig, Sizes
from models.projections.conflict import WithoutConflict
from models.projections.maps import BlockDiagonal, Dense, LowRank, OneSlice
from models.projections.storage import Fused, PerHead, PerRole

Memory = tuple[Tensor, ...]
Maps = PerRole | Fused | PerHead | WithoutConflict


class Projection(nn.Module):
    """Queries, and what is worth remembering of the attended sequence.

        q, memory = project(x_q, x_kv)      memory: one [B, L, G * D] tensor where K and V share a map, else two
        k, v      = project.read(memory)    split into heads; one and the same tensor where nothing tells them apart

    A map bears the name of the first role that uses it. Initial weights depend on the seed and the name alone, so every
    strategy starts from the matrices that `separate` starts from, as far as it has them.
    """

    def __init__(self, config: ProjectionConfig, d_model: int, heads: int, head_dim: int, bias: bool):
        super().__init__()
        config.check(d_model, heads, head_dim)
        self.sizes = config.sizes(d_model, heads, head_dim)
        self.map_of = {role: config.group_of(role)[0] for role in ROLES}
        self.shared = [r for r in ROLES if len(config.group_of(r)) > 1]  # roles that do not have a map alone
        self.untouched = {self.map_of[role] for role in config.identity}
        self.one_memory = self.map_of["k"] == self.map_of["v"] and config.role_rank is None
        self.symmetric_init = config.symmetric_init
        self.maps: Maps = _maps(config, self.sizes, bias)
        if config.remove_conflict:
            self.maps = WithoutConflict(cast(PerRole, self.maps), self.map_of)
            self.map_of, self.one_memory = {role: role for role in ROLES}, False
            self.untouched = set(config.identity)
        self.scale = nn.ParameterDict()  # a diagonal per role
        if config.role_scale:
            self.scale = nn.ParameterDict({r: nn.Parameter(torch.empty(self.sizes.width_of(r))) for r in ROLES})
        self.addition = nn.ModuleDict()  # a low-rank term per role
        if (rank := config.role_rank) is not None:
            self.addition.update({r: LowRank(d_model, *_shape(self.sizes, r), rank, bias=False) for r in ROLES})

    def forward(self, x_q: Tensor, x_kv: Tensor) -> tuple[Tensor, Memory]:
        """Queries [B, H, L, D] of x_q [B, L, C], memory of x_kv [B, S, C]. The same tensor twice: self-attention."""
        if x_q is not x_kv:
            return self.query(x_q), self.memory(x_kv)
        outputs = self._outputs(x_q, ROLES)
        return self._query(outputs, x_q), self._memory(outputs, x_q)

    def query(self, x_BLC: Tensor) -> Tensor:
        """Queries [B, H, L, D] alone, for cross-attention over a memory that exists already."""
        return self._query(self._outputs(x_BLC, "q"), x_BLC)

    def memory(self, x_BSC: Tensor) -> Memory:
        """What the site keeps of a sequence: `memory_width` numbers per token."""
        return self._memory(self._outputs(x_BSC, "kv"), x_BSC)

    def read(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """Keys [B, G, S, D] and values [B, G, S, E] from memory."""
        remembered_k, remembered_v = memory * 2 if self.one_memory else memory
        if self.one_memory and not self.scale:
            k = v = self._split(remembered_k, "k")
            return k, v
        return self._split(self._scaled(remembered_k, "k"), "k"), self._split(self._scaled(remembered_v, "v"), "v")

    @property
    def memory_width(self) -> int:
        """Numbers kept per token: G * D where keys and values share a map, else G * (D + E)."""
        return sum(self.sizes.width_of(role) for role in ("k" if self.one_memory else "kv"))

    def matrix(self, role: str) -> Tensor:
        """The dense matrix [C, N * D] this role amounts to: `x @ matrix(role)` (+ bias) are its vectors.

        N is H for queries, G for keys and values; unsplit queries are the same D columns H times.
        """
        name = self.map_of[role]
        anchor = next(self.parameters(), torch.zeros(()))
        eye = torch.eye(self.sizes.d_model, device=anchor.device, dtype=anchor.dtype)
        matrix = eye if name in self.untouched else self.maps.matrix(name)
        if role in self.addition:
            matrix = matrix + cast(LowRank, self.addition[role]).matrix()
        return self._scaled(matrix, role).repeat(1, self.sizes.heads // self.sizes.own_heads if role == "q" else 1)

    def settle(self) -> None:
        """Initial weights that follow from other initial weights."""
        if self.symmetric_init:
            state = self.maps.state_dict()
            self.maps.load_state_dict({**state, "k.weight": state["q.weight"]})

    def _outputs(self, x_BLC: Tensor, roles: tuple[str, ...] | str) -> dict[str, Tensor]:
        names = sorted({self.map_of[role] for role in roles}, key=ROLES.index)  # the order they are stored in
        learned = [name for name in names if name not in self.untouched]
        outputs = dict.fromkeys(names, x_BLC)
        if learned:
            outputs.update(self.maps(x_BLC, learned))
        return outputs

    def _role(self, outputs: dict[str, Tensor], role: str, x_BLC: Tensor) -> Tensor:
        y = outputs[self.map_of[role]]
        return y + self.addition[role](x_BLC) if role in self.addition else y

    def _query(self, outputs: dict[str, Tensor], x_BLC: Tensor) -> Tensor:
        q = self._split(self._scaled(self._role(outputs, "q", x_BLC), "q"), "q")
        return q.expand(-1, self.sizes.heads, -1, -1)

    def _memory(self, outputs: dict[str, Tensor], x_BLC: Tensor) -> Memory:
        return tuple(self._role(outputs, role, x_BLC) for role in ("k" if self.one_memory else "kv"))

    def _scaled(self, y: Tensor, role: str) -> Tensor:
        return y * self.scale[role] if role in self.scale else y

    def _split(self, y_BLM: Tensor, role: str) -> Tensor:
        return y_BLM.unflatten(-1, _shape(self.sizes, role)).transpose(1, 2)


def _shape(sizes: Sizes, role: str) -> tuple[int, int]:
    return sizes.heads_of(role), sizes.dim_of(role)


def _maps(config: ProjectionConfig, sizes: Sizes, bias: bool) -> PerRole | Fused | PerHead:
    names = [group[0] for group in config.groups() if group[0] not in config.identity]
    d_model = sizes.d_model
    if config.map == "low_rank":
        assert config.rank is not None
        return PerRole({name: LowRank(d_model, *_shape(sizes, name), config.rank, bias) for name in names})
    if config.storage == "fused" and len(names) > 1 and not config.remove_conflict:
        return Fused(d_model, {name: sizes.width_of(name) for name in names}, bias)
    if config.storage == "per_head" and not config.remove_conflict:
        heads, dims = {n: sizes.heads_of(n) for n in names}, {n: sizes.dim_of(n) for n in names}
        return PerHead(d_model, heads, dims, bias)
    kind = {"dense": Dense, "block_diagonal": BlockDiagonal, "one_slice": OneSlice}[config.map]
    return PerRole({name: kind(d_model, *_shape(sizes, name), bias) for name in names})
