"""Whose an unfinished file or folder is: its name tells process and machine, so that others know what the dead left."""

import os
import re
import socket
import time
import uuid
from pathlib import Path

OLD = 24 * 3600  # seconds after which nobody on another machine is still at work on what does not change
OURS = re.compile(r"\..+-[0-9a-f]{8}-([0-9]{1,7})-(.+?)(?:\.tmp)?")


def own_path(home: Path, what: str, ending: str = "") -> Path:
    """A new name in `home` that tells whose it is: `.<what>-<unique>-<process>-<machine><ending>`."""
    return home / f".{what}-{uuid.uuid4().hex[:8]}-{os.getpid()}-{socket.gethostname()}{ending}"


def owner(path: Path) -> tuple[int, str] | None:
    """Process and machine that gave it its name; None for a name that is none of ours."""
    return (int(ours[1]), ours[2]) if (ours := OURS.fullmatch(path.name)) else None


def abandoned(path: Path) -> bool:
    """Whether its name is one of ours, and nobody is at work on it any more. Raises: FileNotFoundError."""
    if (found := owner(path)) is None:
        return False
    process, machine = found
    if machine != socket.gethostname():
        inside = path.iterdir() if path.is_dir() else ()
        return time.time() - max(one.stat().st_mtime for one in (path, *inside)) > OLD
    if process == os.getpid():  # who had our number before us
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, and alive
    return False
