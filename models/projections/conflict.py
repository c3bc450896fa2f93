"""Training a shared matrix without what its roles' gradients contradict each other in."""

from itertools import permutations
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from models.projections.maps import Dense
from models.projections.storage import PerRole


class WithoutConflict(PerRole):
    """Dense maps whose roles' gradients lose what contradicts another role before they are summed.

    The forward pass is that of the maps given. In the backward pass, PCGrad (Yu et al. 2020): a role's gradient g that
    has a negative product with another role's h becomes g - (g.h / |h|^2) h; here the others are taken in the fixed
    order q, k, v instead of a random one, and biases are left as they are. With several micro-batches to a step each
    has its own conflicts taken out: that is not the same as one big batch.
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
