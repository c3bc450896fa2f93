"""What query, key and value each ask of a matrix they share."""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from ablations.analysis.sites import nats, sites
from data.batch import Batch
from models.projections.untie import untied


def parts(model: nn.Module, batch: Batch) -> dict[str, dict[str, Tensor]]:
    """Site -> role -> the part of the shared matrix's gradient that comes through this role; their sum is all of it.

    The gradient of nats per target, without dropout, at sites where roles share a learned map. By the chain rule the
    part is the gradient of the role's own copy, were there one copy for each. Leaves `.grad` alone.
    """
    site_of = {site.project: name for name, site in sites(model).items()}
    with torch.enable_grad(), untied(model) as copies:
        named = [(site_of[model.get_submodule(path)], roles) for path, roles in copies.items()]
        flat = [(site, role, weight) for site, roles in named for role, weight in roles.items()]
        if not flat:
            return {}
        found = torch.autograd.grad(nats(model, batch), [weight for *_, weight in flat])
    result: dict[str, dict[str, Tensor]] = {}
    for (site, role, _), gradient in zip(flat, found, strict=True):
        result.setdefault(site, {})[role] = gradient
    return result


def describe(gradients: dict[str, Tensor]) -> dict[str, Any]:
    """Of one site: `size`, the Frobenius norm per role; `cosine` per pair of roles, -1 to 1; `harmony`.

    harmony = |sum of the parts| / sum of their norms: 1 where all roles pull the same way, 0 where they cancel. Two
    parts of zero have no cosine (NaN).
    """
    flat = {role: gradient.double().flatten() for role, gradient in gradients.items()}
    size = {role: float(part.norm()) for role, part in flat.items()}

    def ratio(top: float, bottom: float) -> float:
        return top / bottom if bottom else float("nan")

    return {
        "size": size,
        "cosine": {a + b: ratio(float(flat[a] @ flat[b]), size[a] * size[b]) for a, b in combinations(flat, 2)},
        "harmony": ratio(float(torch.stack(list(flat.values())).sum(0).norm()), sum(size.values())),
    }
