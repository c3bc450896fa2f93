"""Inputs made wrong in ways that random bytes never come to: what a fuzzer's bytes decide is where and how."""

import copy
import json
import string
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")
# What readers stumble over.
WORDS = (
    *("", " ", "\0", "\n", "\r\n", "\t", "\ufeff", "\u2028", "\u2581", "é", "😀", "\udcff", "[[", "{", "${seed}"),
    *("nan", "NaN", "-inf", "Infinity", "null", "true", "1e400", "-0.0", "9" * 400, "0x10", "1_0"),
    *("../../x", "/etc/passwd", "~", "<script>"),
)
DEEP = "[" * 20_000
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 10**400),
    *(0.0, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
    *([], {}, [[]], [None], {"": 0}, {"a": {"b": 1}}, "0", "separate", *WORDS),
)


class Draw:
    """Decisions read off a fuzzer's bytes, one after the other; where they end, the first choice every time."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        """Whether there is something left."""
        return self._at < len(self._data)

    def below(self, bound: int) -> int:
        """A number from 0 to bound - 1."""
        size = 1 if bound <= 256 else 2 if bound <= 65536 else 4
        return int.from_bytes(self.bytes(size), "little") % bound

    def one_in(self, count: int) -> bool:
        """True once in so many times."""
        return self.below(count) == count - 1

    def choice(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[self.below(len(among))]

    def bytes(self, count: int) -> bytes:
        """The next ones."""
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.bytes(max(0, len(self._data) - self._at))

    def text(self) -> str:
        """A few letters, of ASCII or of anything."""
        piece = self.bytes(self.below(12))
        if self.one_in(4):
            return piece.decode("utf-8", errors="surrogateescape")
        return "".join(string.printable[byte % len(string.printable)] for byte in piece)


def altered(draw: Draw, data: bytes) -> bytes:
    """Bytes that were flipped, cut, repeated, put in or taken from elsewhere in the file, up to six times."""
    result = bytearray(data)
    for _ in range(1 + draw.below(6)):
        at = draw.below(len(result) + 1)
        size = 1 << draw.below(12)
        match draw.below(8):
            case 0 if at < len(result):
                result[at] ^= 1 << draw.below(8)
            case 1 if at < len(result):
                result[at] = draw.below(256)
            case 2:
                del result[at:]
            case 3:
                del result[at : at + size]
            case 4:
                result[at:at] = draw.choice((*WORDS, DEEP)).encode("utf-8", errors="surrogatepass")
            case 5:
                result[at:at] = result[at : at + size]
            case 6:
                result[at : at + size] = bytes(min(size, len(result) - at))
            case 7:
                other = draw.below(len(result) + 1)
                result[at : at + size] = result[other : other + size]
        if not draw:
            break
    return bytes(result)


def altered_json(draw: Draw, plain: Any) -> Any:
    """A value of JSON with up to four of its parts replaced, removed, renamed, doubled or put into another place."""
    result = [copy.deepcopy(plain)]  # so that the whole of it may be replaced, too
    for _ in range(1 + draw.below(4)):
        where, key = _place(draw, result)
        match draw.below(6):
            case 0 | 1:
                where[key] = copy.deepcopy(draw.choice(VALUES))
            case 2 if where is not result:
                del where[key]
            case 3 if isinstance(where, dict):
                where[draw.choice(WORDS) if draw.one_in(2) else draw.text()] = where.pop(key)
            case 4:
                other, name = _place(draw, result)
                where[key] = copy.deepcopy(other[name])
            case 5:
                for _ in range(1 << draw.below(7)):
                    where[key] = [where[key]]
        if not draw:
            break
    return result[0]


def _place(draw: Draw, within: list) -> tuple[Any, Any]:
    """A container somewhere inside, and one of its keys."""
    where, key = within, 0
    while isinstance(where[key], dict | list) and where[key] and not draw.one_in(8):
        where = where[key]
        key = draw.choice(list(where)) if isinstance(where, dict) else draw.below(len(where))
    return where, key


def as_text(draw: Draw, plain: Any) -> bytes:
    """JSON in the layout of our records, or in another one that says the same."""
    indent = draw.choice((1, 1, 1, None, 2))
    text = json.dumps(plain, indent=indent, ensure_ascii=draw.one_in(4))
    return (text + draw.choice(("\n", "\n", "\n", "", " \n", "\0"))).encode("utf-8", errors="surrogatepass")
