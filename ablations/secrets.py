"""Keys and passwords that a process can see, so that what it writes and prints can leave them out."""

import netrc
import os
import re
from typing import Any

SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)(_|$)", re.IGNORECASE)  # not TOKENIZERS_PARALLELISM, nor MAX_TOKENS
SHORTEST = 12  # characters


def secrets() -> dict[str, str]:
    """Value -> where it stands: in which variable of the environment, or in the netrc file, where W&B keeps its key.

    A path is none: variables such as SSH_KEY_DIR name places, and settings lie in them. Nor is what may be a plain word
    or number, such as the password "training": it would be found everywhere.
    """
    found = {}
    for file in filter(None, (os.environ.get("NETRC"), *map(os.path.expanduser, ("~/.netrc", "~/_netrc")))):
        try:
            hosts = netrc.netrc(file).hosts
        except (OSError, UnicodeDecodeError, netrc.NetrcParseError):
            continue
        found |= {password: file for _, _, password in hosts.values() if password}
    found |= {value: f"${name}" for name, value in os.environ.items() if SECRET.search(name)}
    return {value: where for value, where in found.items() if _is_secret(value)}


def _is_secret(value: str) -> bool:
    letters, digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    return len(value) >= SHORTEST and letters and digits and value[0] != "/"


def hidden(value: Any) -> Any:
    """The same text, list or dictionary with *** for every secret."""
    known = sorted(secrets(), key=len, reverse=True)  # one may be the beginning of another
    return _hidden(value, re.compile("|".join(map(re.escape, known)))) if known else value


def _hidden(value: Any, known: re.Pattern[str]) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, known) for item in value]
    return known.sub("***", value) if isinstance(value, str) else value


def refuse_secret(where: str, text: str, known: dict[str, str]) -> None:
    """Raises ValueError where a setting holds a secret or refers to one; `known`: as `secrets` gives them.

    It is one where it stands alone, as a key does: a name may have the same letters in it by chance.
    """
    names = re.findall(r"\$\{\s*oc\.env:\s*([^,}]+)", text)
    found = [f"${name.strip()}" for name in names if SECRET.search(name.strip())]
    found += [place for value, place in known.items() if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)]
    if found:
        raise ValueError(
            f"{where} holds the secret in {found[0]}, which would be on record: leave it out, "
            "who needs it reads it from there"
        )
