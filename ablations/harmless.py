"""A config is values: whatever in it would make Hydra, its logging or a process of ours run code is refused.

Hydra makes an object of whatever a `_target_` names, before our `main` is called, and so does the logging that it sets
up. Its own list of forbidden names has holes (`pathlib.Path.touch`), so the few names that are of use are listed here.
"""

import re
from collections.abc import Iterator
from typing import Any

from ablations.secrets import refuse_secret, secrets

PLUGINS = r"hydra_plugins(\.\w+)+|hydra\._internal\.core_plugins(\.\w+)+"  # which Hydra has found and loaded by itself
LOGGING = r"logging\.(StreamHandler|FileHandler|NullHandler|Formatter|handlers\.\w+FileHandler)"
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
# References to other settings, and functions that give text; oc.decode and oc.create would build what nobody has seen.
REFERENCE = re.compile(r"\$\{(?!(?:[\w.@/\[\]-]*|(?:oc\.env|now|hydra|python_version):[^{}$]*)\})")
ENVIRONMENT = ("hydra.job.env_set", "hydra.job.env_copy")  # LD_PRELOAD and PATH choose what other processes run


def refuse_code(config: dict[str, Any]) -> None:
    """Raises ValueError unless a composed config, Hydra's part included and nothing resolved, is values alone.

    A secret among them is refused too: they are on record, and Hydra and W&B show them.
    """
    known = secrets()
    last = ("hydra.", "hydra.overrides.")  # the words as typed: what they set is named before them
    for where, value in sorted(_leaves(config, ""), key=lambda leaf: sum(map(leaf[0].startswith, last))):
        key = where.rpartition(".")[2]
        if key == "_target_" and not re.fullmatch(PLUGINS, str(value)):
            _refuse(where, value, "nothing that a config names is called")
        if where.startswith("hydra."):
            if where.endswith((".()", "..")) or "listener" in key or "queue" in key:
                _refuse(where, value, "nothing that a config names is called")
            if key == "class" and not re.fullmatch(LOGGING, str(value)):
                _refuse(where, value, "of logging a config may name the handlers that write to a stream or a file")
            if where.startswith(ENVIRONMENT):
                _refuse(where, value, "set variables of the environment where you type the command")
        if isinstance(value, str):
            refuse_secret(where, value, known)
            if re.match(r"(ext|cfg)://", value) and value not in STREAMS:
                _refuse(where, value, "nothing that a config names is imported")
            if REFERENCE.search(value):
                _refuse(where, value, "a setting may refer to others, as in ${paths.results}, or to ${oc.env:NAME}")


def refuse_package(path: str) -> None:
    """Raises ValueError for a place of settings that is a package: to read it, Python would run it."""
    if path.startswith("pkg:") and path != "pkg://hydra.conf":
        raise ValueError(f"{path} is a package, whose code would run: give a folder of YAML files")


def _refuse(where: str, value: Any, reason: str) -> None:
    raise ValueError(f"{where}={value!r}: {reason}, leave it out")


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, f"{where}.{key}" if where else str(key))
    else:
        yield where, value
