"""How the maps of one site lie in memory. Storage is never mathematics.

`PerRole` is the plain form: one map per group of roles. `Fused` keeps dense maps as one tall matrix, so that one
product serves all roles that read the same input; `PerHead` keeps one small matrix per head. All three have the state
dictionary of `PerRole`, hence the same initial weights for a seed and interchangeable checkpoints.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.projections.maps import BlockDiagonal, Dense, LowRank, OneSlice


class PerRole(nn.ModuleDict):
    """One map per group, keyed by the group's first role."""

    def forward(self, x_BLC: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The outputs [B, L, N * D] of the named maps."""
        return {name: self[name](x_BLC) for name in names}

    def matrix(self, name: str) -> Tensor:
        """[C, N * D] of one map."""
        return cast(Dense | LowRank | BlockDiagonal | OneSlice, self[name]).matrix()


class _Repacked(nn.Module, ABC):
    """Dense maps stored in another shape than the checkpoint's: subclasses say how to cut and how to join."""

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(self._cut_on_save)
        self.register_load_state_dict_pre_hook(self._join_on_load)

    @abstractmethod
    def cut(self, kind: str) -> dict[str, Tensor]:
        """Map name to its whole "weight" or "bias"."""

    @abstractmethod
    def join(self, kind: str, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `cut`: own parameter name to value."""

    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """What each map consists of."""

    @staticmethod
    def _cut_on_save(module: "_Repacked", state: dict[str, Any], prefix: str, _metadata: Any) -> None:
        for name, _ in module.named_parameters():
            del state[prefix + name]
        for kind in module.kinds():
            for name, value in module.cut(kind).items():
                state[f"{prefix}{name}.{kind}"] = value.detach()

    @staticmethod
    def _join_on_load(module: "_Repacked", state: dict[str, Any], prefix: str, *_: Any) -> None:
        for kind in module.kinds():
            names = list(module.cut(kind))
            if all(f"{prefix}{name}.{kind}" in state for name in names):
                whole = {name: state.pop(f"{prefix}{name}.{kind}") for name in names}
                state.update({prefix + name: value for name, value in module.join(kind, whole).items()})

    def matrix(self, name: str) -> Tensor:
        """[C, N * D] of one map."""
        return self.cut("weight")[name].T


class Fused(_Repacked):
    """The dense maps of a site one above the other: [sum of N * D, C]."""

    def __init__(self, d_model: int, widths: dict[str, int], bias: bool):
        super().__init__()
        self.widths = widths
        self.weight = nn.Parameter(torch.empty(sum(widths.values()), d_model))
        self.bias = nn.Parameter(torch.empty(sum(widths.values()))) if bias else None

    def kinds(self) -> tuple[str, ...]:
        """What each map consists of."""
        return ("weight",) if self.bias is None else ("weight", "bias")

    def cut(self, kind: str) -> dict[str, Tensor]:
        """Map name to its rows."""
        return dict(zip(self.widths, getattr(self, kind).split(list(self.widths.values())), strict=True))

    def join(self, kind: str, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One tall matrix."""
        return {kind: torch.cat([whole[name] for name in self.widths])}

    def forward(self, x_BLC: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The outputs of the named maps, by one product: neighbours in storage are neighbours in `names`."""
        order = list(self.widths)
        first, last = order.index(names[0]), order.index(names[-1])
        assert order[first : last + 1] == list(names), "fused maps are asked for in the order they are stored"
        start = sum(self.widths[name] for name in order[:first])
        widths = [self.widths[name] for name in names]
        rows = slice(start, start + sum(widths))
        y_BLM = F.linear(x_BLC, self.weight[rows], None if self.bias is None else self.bias[rows])
        return dict(zip(names, y_BLM.split(widths, dim=-1), strict=True))


class PerHead(_Repacked):
    """One [D, C] matrix per head, the way textbooks draw it."""

    def __init__(self, d_model: int, heads: dict[str, int], dims: dict[str, int], bias: bool):
        super().__init__()
        self.heads, self.dims = heads, dims

        def parts(name: str, *shape: int) -> nn.ParameterList:
            return nn.ParameterList([torch.empty(dims[name], *shape) for _ in range(heads[name])])

        self.weight = nn.ParameterDict({name: parts(name, d_model) for name in heads})
        self.bias = nn.ParameterDict({name: parts(name) for name in heads}) if bias else None

    def kinds(self) -> tuple[str, ...]:
        """What each map consists of."""
        return ("weight",) if self.bias is None else ("weight", "bias")

    def cut(self, kind: str) -> dict[str, Tensor]:
        """Map name to its heads, stacked."""
        return {name: torch.cat(list(heads)) for name, heads in getattr(self, kind).items()}

    def join(self, kind: str, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One matrix per head."""
        return {f"{kind}.{n}.{h}": part for n, w in whole.items() for h, part in enumerate(w.split(self.dims[n]))}

    def forward(self, x_BLC: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The outputs of the named maps, a product per head."""
        outputs = {}
        for name in names:
            biases = [None] * self.heads[name] if self.bias is None else self.bias[name]
            heads = [F.linear(x_BLC, w, b) for w, b in zip(self.weight[name], biases, strict=True)]
            outputs[name] = torch.cat(heads, dim=-1)
        return outputs
