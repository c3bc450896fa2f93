"""A shared matrix seen role by role: what each role's gradient asks of it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from torch import nn

from models.projections.config import ROLES
from models.projections.conflict import WithoutConflict
from models.projections.maps import Dense
from models.projections.projection import Projection
from models.projections.storage import Fused, PerHead, PerRole


@contextmanager
def untied(model: nn.Module) -> Iterator[dict[str, dict[str, nn.Parameter]]]:
    """Gives each role of a shared learned map a copy of it, so that a backward pass leaves a gradient per role.

    Yields {name of the projection module: {role: its weight [N * D, C]}} and puts the model back afterwards. Only
    dense maps that two or three roles share are touched. The model computes what it computed before.
    """
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


def _dense_maps(projection: Projection) -> dict[str, Dense]:
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
