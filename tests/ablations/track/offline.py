"""The files of W&B, read back by its own inspector."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace


def in_wandb(folder: Path, kind: str = "offline-run") -> SimpleNamespace:
    """What lies in a run's folder: all `entries`, `run` (its header), `history`, `summary`, the folder `files`."""
    (file,) = folder.glob(f"wandb/{kind}-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    entries = [json.loads(line) for line in text.splitlines()]
    summary = {}
    for entry in entries:
        summary |= entry.get("summary", {}).get("update", {})
    return SimpleNamespace(
        entries=entries,
        run=next(entry["run"] for entry in entries if "run" in entry),
        history=[entry["history"]["item"] for entry in entries if "history" in entry],
        summary=summary,
        files=file.parent / "files",
    )
