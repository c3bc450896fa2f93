"""The state of an unfinished run on disk: written whole or not at all, read without executing anything."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from ablations.files import whole_file

FORMAT = 2


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside `path`, flushes to the disk, then renames: a kill at any moment leaves the old file or the new."""
    with whole_file(path, "wb") as file:
        torch.save({"format": FORMAT, **state}, file)


def load(path: Path, signature: str) -> dict[str, Any] | None:
    """The state saved under `path`, None when there is none. Refuses what is damaged or of another run or format."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load takes altered numbers for weights without a word
            if (altered := archive.testzip()) is not None:
                raise zipfile.BadZipFile(altered)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as damage:
        raise ValueError(
            f"{path} cannot be read ({type(damage).__name__}): delete it to start the run anew"
        ) from damage
    if not isinstance(state, dict) or (state.get("format"), state.get("signature")) != (FORMAT, signature):
        raise ValueError(f"{path} belongs to another run or version: delete it to start this one anew")
    return state
