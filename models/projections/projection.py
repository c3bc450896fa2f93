"""One strategy at one site: which weights a role uses, which products are computed, what must be remembered.

Axes: B batch, L length, C model width, H query heads, G key/value heads, D head width.
"""

from typing import cast

import torch
from torch import Tensor, nn

from models.projections.config import ROLES, ProjectionConfig
from models.projections.maps import BlockDiagonal, Dense, LowRank
from models.projections.storage import Fused, PerHead, PerRole

Memory = tuple[Tensor, ...]


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
        self.heads, self.head_dim = heads, head_dim
        self.kv_heads = config.kv_heads or heads
        self.d_model = d_model
        self.map_of = {role: config.group_of(role)[0] for role in ROLES}
        self.untouched = {self.map_of[role] for role in config.identity}
        self.one_memory = self.map_of["k"] == self.map_of["v"] and config.role_rank is None
        learned = [group[0] for group in config.groups() if group[0] not in self.untouched]
        self.maps: PerRole | Fused | PerHead = _maps(
            config, d_model, head_dim, {name: self._heads(name) for name in learned}, bias
        )
        self.scale = nn.ParameterDict()  # a diagonal per role
        if config.role_scale:
            self.scale = nn.ParameterDict({r: nn.Parameter(torch.empty(self._heads(r) * head_dim)) for r in ROLES})
        self.addition = nn.ModuleDict()  # a low-rank term per role
        if config.role_rank is not None:
            rank = config.role_rank
            self.addition.update({r: LowRank(d_model, self._heads(r), head_dim, rank, bias=False) for r in ROLES})

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
        """Keys and values [B, G, S, D] from memory."""
        remembered_k, remembered_v = memory * 2 if self.one_memory else memory
        if self.one_memory and not self.scale:
            k = v = self._split(remembered_k, self.kv_heads)
            return k, v
        k, v = self._scaled(remembered_k, "k"), self._scaled(remembered_v, "v")
        return self._split(k, self.kv_heads), self._split(v, self.kv_heads)

    @property
    def memory_width(self) -> int:
        """Numbers kept per token: G * D where keys and values share a map, else twice that."""
        return self.kv_heads * self.head_dim * (1 if self.one_memory else 2)

    def matrix(self, role: str) -> Tensor:
        """The dense matrix [C, N * D] this role amounts to: `x @ matrix(role)` (+ bias) are its vectors."""
        name = self.map_of[role]
        anchor = next(self.parameters(), torch.zeros(()))
        eye = torch.eye(self.d_model, device=anchor.device, dtype=anchor.dtype)
        matrix = eye if name in self.untouched else self.maps.matrix(name)
        if role in self.addition:
            matrix = matrix + cast(LowRank, self.addition[role]).matrix()
        return self._scaled(matrix, role)

    def _heads(self, role: str) -> int:
        return self.heads if role == "q" else self.kv_heads

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
        return self._split(self._scaled(self._role(outputs, "q", x_BLC), "q"), self.heads)

    def _memory(self, outputs: dict[str, Tensor], x_BLC: Tensor) -> Memory:
        return tuple(self._role(outputs, role, x_BLC) for role in ("k" if self.one_memory else "kv"))

    def _scaled(self, y: Tensor, role: str) -> Tensor:
        return y * self.scale[role] if role in self.scale else y

    def _split(self, y_BLM: Tensor, heads: int) -> Tensor:
        return y_BLM.unflatten(-1, (heads, self.head_dim)).transpose(1, 2)


def _maps(
    config: ProjectionConfig, d_model: int, head_dim: int, heads: dict[str, int], bias: bool
) -> PerRole | Fused | PerHead:
    widths = {name: n * head_dim for name, n in heads.items()}
    if config.map == "low_rank":
        assert config.rank is not None
        rank = config.rank
        return PerRole({name: LowRank(d_model, n, head_dim, rank, bias) for name, n in heads.items()})
    if config.map == "block_diagonal":
        return PerRole({name: BlockDiagonal(d_model, n, head_dim, bias) for name, n in heads.items()})
    if config.storage == "fused" and len(heads) > 1:
        return Fused(d_model, widths, bias)
    if config.storage == "per_head":
        return PerHead(d_model, widths, head_dim, bias)
    return PerRole({name: Dense(d_model, n, head_dim, bias) for name, n in heads.items()})
