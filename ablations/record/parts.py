"""A record's text cut into its parts, so that what many records say alike is read once, and what nobody asks for never.

`file.write` lays a record out one key a line, each part of it indented further. A text that is not laid out so is cut
into nothing, and is read as any JSON is: slower, with the same outcome.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from ablations.record.identity import identity

ENDS = {"{": "}", "[": "]", '"': '"'}
read_at = json.JSONDecoder().raw_decode
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def cut(text: str) -> dict[str, str] | None:
    """Key -> the text of its value. None where a record is not laid out as we write it, or not whole."""
    return _pieces(text[4:-3], ',\n "') if text.startswith('{\n "') and text.endswith("\n}\n") else None


def cut_config(text: str) -> tuple[dict[str, str], str]:
    """The sections of a config as `cut` has found it, but for its seed, and that. Raises ValueError where it cannot."""
    sections = _pieces(text[5:-3], ',\n  "') if text.startswith('{\n  "') and text.endswith("\n }") else None
    seed = sections.pop("seed", "") if sections else ""
    if sections is None or not seed.removeprefix("-").isdigit():
        raise ValueError("a config that somebody else has laid out, or without a seed")
    return sections, seed


def _pieces(text: str, between: str) -> dict[str, str] | None:
    pieces = [piece.partition('": ') for piece in text.split(between)]
    result = {key: value for key, _, value in pieces}
    return result if len(result) == len(pieces) else None


def closed(values: Iterable[str]) -> bool:
    """Whether texts that nobody reads end as they begin."""
    return all(value and value[-1] == ENDS.get(value[0], value[-1]) for value in values)


def validations(curve: str | list[dict[str, Any]] | None) -> list[list[float]]:
    """[step, loss] in nats of every validation on a curve, given as text or read; without those that are not finite."""
    points = _watched(curve) if isinstance(curve, str) else curve or []
    return [[point["step"], point["valid_nll"]] for point in points if point.get("valid_nll") is not None]


def _watched(curve: str) -> list[dict[str, Any]]:
    """The points of a curve at which there was a validation; most have none."""
    found, at = [], curve.find('"valid_nll"')
    while at >= 0:
        point, end = read_at(curve, curve.rindex("{", 0, at))
        found.append(point)
        at = curve.find('"valid_nll"', end)
    return found


class Signer:
    """Signs the runs of one config that differ in their seed: `identity` and `sign` once for all of them."""

    MARK = "\0"  # in no config: nothing that is typed has it

    def __init__(self, config: dict[str, Any]) -> None:
        """Raises ValueError where a config has no seed; KeyError, TypeError, AttributeError where it is no config."""
        self.identity = identity(config)
        if "seed" not in self.identity:
            raise ValueError("a config without a seed")
        text = json.dumps({**self.identity, "seed": self.MARK}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        self.before, self.after = text.split(json.dumps(self.MARK))
        del self.identity["seed"]  # what is left is that of all seeds

    def sign(self, seed: str) -> str:
        """`identity.sign` of the config with this seed, given as a record writes it."""
        return hashlib.sha256(f"{self.before}{seed}{self.after}".encode()).hexdigest()[:16]
