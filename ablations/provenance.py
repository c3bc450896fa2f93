"""Where a result comes from: code, libraries, time. No host names, no paths."""

import datetime
import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from ablations.claims.schema import known_rules

LIBRARIES = ("torch", "numpy", "hydra-core", "omegaconf", "sentencepiece", "sacrebleu")
# A cluster is no part of a run.
SOURCES = ("models", "data", "ablations", "conf", ":!conf/cluster", "train.py", "evaluate.py", "requirements.txt")
ROOT = Path(__file__).resolve().parent.parent


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a number."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            found[library] = "not installed"
    return found


def code() -> dict[str, str | bool | None]:
    """The commit, and whether sources differ from it, new files included; None outside a git checkout."""
    commit = _git("rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--", *SOURCES)) if commit else None}


def origin() -> dict[str, Any]:
    """What a record says of the code it comes from, and of the claims' rules as they stand before the run."""
    return {"code": code(), "claims": known_rules()}


def digest() -> str:
    """16 hexadecimal digits that name the program text, committed or not. Settings in YAML are no part of it."""
    files = sorted(file for room in ("models", "data", "ablations") for file in (ROOT / room).rglob("*.py"))
    sha = hashlib.sha256()
    for file in [*files, ROOT / "train.py", ROOT / "requirements.txt"]:
        sha.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return sha.hexdigest()[:16]


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
