"""The state of an unfinished run on disk: written whole or not at all, read without executing anything."""

import os
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside `path`, flushes to the disk, then renames: a kill at any moment leaves the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, signature: str) -> dict[str, Any] | None:
    """The state saved under `path`, None when there is none. Refuses what another run or format left there."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as damage:
        raise ValueError(
            f"{path} cannot be read ({type(damage).__name__}): delete it to start the run anew"
        ) from damage
    if state.get("format") != FORMAT or state.get("signature") != signature:
        raise ValueError(f"{path} belongs to another run or version: delete it to start this one anew")
    return state
