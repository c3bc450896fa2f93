"""A record's text cut into its parts, so that what many records say alike is read once, and what nobody asks for never.

`file.write` lays a record out one key a line, each part of it indented further. A text that is not laid out so is cut
into nothing, and is read as any JSON is: slower, with the same outcome.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from ablations.record.identity import identity

WATCHED, STEP = '"valid_nll": ', '{\n   "step": '
ENDS = {"{": "}", "[": "]", '"': '"'}
read_at = json.JSONDecoder().raw_decode  # (text, place) -> value, place of its end
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # as `identity.sign`
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def cut(text: str) -> dict[str, str] | None:
    """Key -> the text of its value. None where a record is not laid out as we write it, or not whole."""
    return _pieces(text, '{\n "', ',\n "', "\n}\n")


def cut_config(text: str) -> dict[str, str]:
    """The sections of a config as `cut` has found it. Raises ValueError where somebody else has laid it out."""
    sections = _pieces(text, '{\n  "', ',\n  "', "\n }")
    if sections is None:
        raise ValueError("a config that somebody else has laid out")
    return sections


def without_seed(config: str) -> tuple[str, str]:
    """The text of a config but for the line of its seed, and that seed. Raises ValueError where there is no such line.

    What is left need not be JSON: it is equal for two configs that are equal but for the seed.
    """
    begin = config.index('\n  "seed": ')
    end = config.index("\n", begin + 1)
    seed = config[begin + 11 : end].removesuffix(",")
    if not seed.removeprefix("-").isdigit() or config.find('\n  "seed": ', end) >= 0:
        raise ValueError("a config with another kind of seed")
    return config[:begin] + config[end:], seed


def _pieces(text: str, begin: str, between: str, end: str) -> dict[str, str] | None:
    if not text.startswith(begin) or not text.endswith(end):
        return None
    pieces = text.split(between)
    pieces[0], pieces[-1] = pieces[0].removeprefix(begin), pieces[-1].removesuffix(end)
    result = {}
    for piece in pieces:
        at = piece.find('": ')
        result[piece[:at]] = piece[at + 3 :]
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
    found, at = [], curve.find(WATCHED)
    while at >= 0:
        begin = curve.rindex("{", 0, at)
        if curve.startswith(STEP, begin):  # as we write it, a number a line: the others are not wanted
            step, _ = read_at(curve, begin + len(STEP))
            loss, end = read_at(curve, at + len(WATCHED))
            found.append({"step": step, "valid_nll": loss})
        else:
            point, end = read_at(curve, begin)
            found.append(point)
        at = curve.find(WATCHED, end)
    return found


class Signer:
    """Signs the runs of one config that differ in their seed: `identity` and `sign` once for all of them."""

    MARK = "\0"  # in no config: nothing that is typed has it

    def __init__(self, config: dict[str, Any], known: dict[str, Any]) -> None:
        """`known`: parts of identities by their text; what another one has, too, is one object.

        Raises ValueError where a config has no seed; KeyError, TypeError, AttributeError where it is no config.
        """
        found = identity(config)
        del found["seed"]
        self.identity, texts = {}, {"seed": self.MARK}  # that of all seeds
        for key, part in found.items():
            texts[key] = canonical(part)
            self.identity[key] = known.setdefault(texts[key], part)
        whole = ",".join([f'"{key}":{texts[key]}' for key in sorted(texts)])
        self.before, self.after = f"{{{whole}}}".split(self.MARK)

    def sign(self, seed: str) -> str:
        """`identity.sign` of the config with this seed, given as a record writes it."""
        return hashlib.sha256(f"{self.before}{seed}{self.after}".encode()).hexdigest()[:16]
