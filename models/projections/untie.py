"""A shared matrix seen role by role: what each role's gradient asks of it, and training without their conflicts."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.projections.config import ROLES
from models.projections.maps import Dense
from models.projections.storage import Fused, PerHead, PerRole


class WithoutConflict(PerRole):
    """Dense maps whose roles' gradients lose what contradicts another role before they are summed.

    The forward pass is that of the maps given. In the backward pass, PCGrad (Yu et al. 2020): a role's gradient g that
    has a negative product with another role's h becomes g - (g.h / |h|^2) h; here the others are taken in the fixed
    order q, k, v instead of a random one, and biases are left as they are.
    """

    def __init__(self, maps: PerRole, map_of: dict[str, str]):
        super().__init__(dict(maps.items()))
        self.map_of = map_of
        self.parts: dict[str, dict[str, Tensor]] = {name: {} for name in self}
        for name, map_ in maps.items():
            weight = cast(Dense, map_).weight
            weight.register_post_accumulate_grad_hook(lambda weight, name=name: self._settle(name, weight))

    def forward(self, x_BLC: Tensor, names: list[str]) -> dict[str, Tensor]:
        """The outputs [B, L, N * D] of the named roles, a product each."""
        return {role: F.linear(x_BLC, self._seen_by(role), self._dense(role).bias) for role in names}

    def matrix(self, name: str) -> Tensor:
        """[C, N * D] of a role."""
        return super().matrix(self.map_of[name])

    def _seen_by(self, role: str) -> Tensor:
        name, weight = self.map_of[role], self._dense(role).weight
        weight = weight.view_as(weight)  # a node of the graph for this role alone
        if weight.requires_grad:
            weight.register_hook(lambda gradient: self.parts[name].__setitem__(role, gradient))
        return weight

    def _dense(self, role: str) -> Dense:
        return cast(Dense, self[self.map_of[role]])

    def _settle(self, name: str, weight: Tensor) -> None:
        parts, self.parts[name] = list(self.parts[name].values()), {}
        assert weight.grad is not None
        # Earlier micro-batches may have left their share in weight.grad: only this one's sum is replaced.
        weight.grad += sum(without_conflict(parts)) - sum(parts)


def without_conflict(gradients: list[Tensor]) -> list[Tensor]:
    """Each gradient without its components against the others, by PCGrad in the order given."""
    result = [gradient.clone() for gradient in gradients]
    for i, j in permutations(range(len(gradients)), 2):
        other = gradients[j]
        product = (result[i] * other).sum()
        result[i] -= product.clamp(max=0) / (other * other).sum().clamp(min=torch.finfo(other.dtype).tiny) * other
    return result


@contextmanager
def untied(model: nn.Module) -> Iterator[dict[str, dict[str, nn.Parameter]]]:
    """Gives each role of a shared learned map a copy of it, so that a backward pass leaves a gradient per role.

    Yields {name of the projection module: {role: its weight [N * D, C]}} and puts the model back afterwards. Only
    dense maps that two or three roles share are touched. The model computes what it computed before.
    """
    from models.projections.projection import Projection

    kept: list[tuple[Projection, dict[str, object]]] = []
    copies: dict[str, dict[str, nn.Parameter]] = {}
    for where, module in model.named_modules():
        if not isinstance(module, Projection):
            continue
        maps = _dense_maps(module)
        own = PerRole({role: copy.deepcopy(map_) for role, map_ in maps.items()})
        shared = [role for role in module.shared if role in own]
        if not shared:
            continue
        kept.append((module, {key: getattr(module, key) for key in ("maps", "map_of", "one_memory", "untouched")}))
        module.untouched = {role for role in ROLES if module.map_of[role] in module.untouched}
        module.maps, module.map_of, module.one_memory = own, {role: role for role in ROLES}, False
        copies[where] = {role: cast(Dense, own[role]).weight for role in shared}
    try:
        yield copies
    finally:
        for module, attributes in kept:
            for key, value in attributes.items():
                setattr(module, key, value)


def _dense_maps(projection: Any) -> dict[str, Dense]:
    """Role to its learned map as a module of its own, whatever the storage; none where maps are not dense."""
    maps, map_of = projection.maps, projection.map_of
    if isinstance(maps, WithoutConflict):
        maps, map_of = PerRole(dict(maps.items())), maps.map_of
    if isinstance(maps, PerRole):
        by_name = {name: map_ for name, map_ in maps.items() if isinstance(map_, Dense)}
    else:
        assert isinstance(maps, Fused | PerHead)
        by_name = {name: _dense(maps, name) for name in maps.cut("weight")}
    return {role: by_name[name] for role, name in map_of.items() if name in by_name}


def _dense(maps: Fused | PerHead, name: str) -> Dense:
    width, d_model = maps.cut("weight")[name].shape
    result = Dense(d_model, 1, width, bias="bias" in maps.kinds())
    for kind in maps.kinds():
        getattr(result, kind).data = maps.cut(kind)[name].detach().clone()
    return result
