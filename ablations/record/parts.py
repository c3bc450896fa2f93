"""A record's text cut into its parts, so that what many records say alike is parsed once.

`file.write` lays a record out one key a line, each part of it indented further. A text is cut there and nowhere else.
That a cut is right is not known from the layout, which other JSON may have by chance, but from the pieces: where every
key is a plain word and every value is JSON from its first letter to its last, the text can be read in no other way.
So whoever cuts parses every piece, or finds it equal to one that was parsed, and gives up where one cannot be: the
record is then loaded as any JSON is, slower, with the same outcome.
"""

import hashlib
import json
import re
from typing import Any

from ablations.record.identity import identity

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,99})")
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # as `identity.sign`
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values for one key, JSON's reader takes the last without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


# (text) -> value, place of its end
read_at = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins).raw_decode


def cut(text: str) -> dict[str, str] | None:
    """Key -> the text of its value, right if each of them can be `parsed`. None where it is not laid out so."""
    return _pieces(text, '{\n "', ',\n "', "\n}\n")


def cut_config(text: str) -> dict[str, str]:
    """The sections of a config, as `cut` does it. Raises ValueError where somebody else has laid it out."""
    sections = _pieces(text, '{\n  "', ',\n  "', "\n }")
    if sections is None:
        raise ValueError("a config that somebody else has laid out")
    return sections


def without_seed(config: str) -> tuple[str, str]:
    """The text of a config but for the digits of its seed, and those. Raises ValueError where there is no such line.

    What is left is equal for two configs that are equal but for the seed. That it was the config's seed and not one
    further inside is for the caller to see, once for all that are alike: `cut_config(config)["seed"]`.
    """
    begin = config.index('\n  "seed": ') + 11
    end = config.index("\n", begin)
    seed = config[begin:end].removesuffix(",")
    if not INTEGER.fullmatch(seed) or config.find('\n  "seed": ', end) >= 0:
        raise ValueError("a config with another kind of seed")
    return config[:begin] + config[begin + len(seed) :], seed


def _pieces(text: str, begin: str, between: str, end: str) -> dict[str, str] | None:
    if not text.startswith(begin) or not text.endswith(end):
        return None
    result = {}
    pieces = text[len(begin) : -len(end)].split(between)
    for piece in pieces:
        key, _, result[key] = piece.partition('": ')
    return result if len(result) == len(pieces) and all(map(str.isidentifier, result)) else None


def parsed(text: str) -> Any:
    """What a text says. Raises ValueError unless it is one value of JSON, which has no NaN, and each key once."""
    value, end = read_at(text)
    if end != len(text):
        raise ValueError("something in it ends too soon")
    return value


def validations(curve: Any) -> list[list[float]]:
    """[step, loss] in nats of every validation on a curve; without those that are not finite or have no step."""
    points = [point for point in curve if isinstance(point, dict)] if isinstance(curve, list) else []
    found = [[point.get("step"), point.get("valid_nll")] for point in points if "valid_nll" in point]
    return [[step, loss] for step, loss in found if step is not None and loss is not None]


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
