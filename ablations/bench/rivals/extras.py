"""Other libraries, which nobody needs but to compare with them: found, or named in a line of the table."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

INSTALL = "not installed: pip install -r requirements-bench.txt"


def missing(*packages: str) -> str | None:
    """What to do where one of these packages is not there."""
    return None if all(find_spec(package) is not None for package in packages) else INSTALL


def clone(folder: str | None, option: str, address: str, holds: str) -> Path:
    """A folder with another project's source. Raises ValueError where none is given or it is another one."""
    if folder is None:
        raise ValueError(f"not here: git clone {address}, and {option} FOLDER")
    found = Path(folder).expanduser().resolve()
    if not (found / holds).exists():
        raise ValueError(f"{option} {folder} holds no {holds}: git clone {address}, and name that")
    return found


def numbered(layers: nn.ModuleList) -> Iterator[tuple[int, Any]]:
    """Our layers with their numbers."""
    yield from enumerate(layers)


def named(name: str, module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module under another name."""
    return {f"{name}.{kind}": value for kind, value in module.state_dict().items()}


def role_maps(site: nn.Module) -> dict[str, Tensor]:
    """The maps of a site of ours: `q.weight`, `q.bias`, `k.weight`, ... Raises ValueError for another strategy."""
    maps = site.get_submodule("project.maps").state_dict()
    if not {"q.weight", "k.weight", "v.weight"} <= set(maps):
        raise ValueError("other libraries know three maps a site: give --run a translator of projection=separate")
    return maps


def importable(folder: Path) -> None:
    """Makes the packages in a folder importable, after those that are installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
