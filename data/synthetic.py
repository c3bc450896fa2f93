"""Generated tasks, all as sentence pairs of space-separated words. Deterministic; no pair stands in two splits."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from data.toy_language import translation_pair

Pair = tuple[str, str]


def _symbols(draw: "Draw", symbols: int, shortest: int, longest: int) -> list[int]:
    return [draw.below(symbols) for _ in range(shortest + draw.below(longest - shortest + 1))]


def _rearrangement(
    rearrange: Callable[[list[int], int], list[int]],
    draw: "Draw",
    symbols: int = 10,
    shortest: int = 4,
    longest: int = 12,
) -> Pair:
    items = _symbols(draw, symbols, shortest, longest)
    return " ".join(map(str, items)), " ".join(map(str, rearrange(items, symbols)))


def _reverse(items: list[int], symbols: int) -> list[int]:
    return items[::-1]


def _sort(items: list[int], symbols: int) -> list[int]:
    return sorted(items)


def _swap(items: list[int], symbols: int) -> list[int]:
    """The two halves change places; an odd item in the middle goes with the first half."""
    half = (len(items) + 1) // 2
    return items[half:] + items[:half]


def _sub(items: list[int], symbols: int) -> list[int]:
    """Every item is subtracted from the largest symbol."""
    return [symbols - 1 - item for item in items]


def _copy(items: list[int], symbols: int) -> list[int]:
    return items


def _recall(draw: "Draw", keys: int = 16, values: int = 16, shortest: int = 4, longest: int = 8) -> Pair:
    """Associative recall: key-value pairs with distinct keys, then one of the keys; the answer is its value."""
    count = shortest + draw.below(longest - shortest + 1)
    if count > keys:
        raise ValueError(f"task.corpus.options: {count} pairs need as many distinct keys, but keys={keys}")
    remaining = list(range(keys))
    chosen = [remaining.pop(draw.below(len(remaining))) for _ in range(count)]
    answers = [draw.below(values) for _ in range(count)]
    asked = draw.below(count)
    listed = " ".join(f"k{key} v{value}" for key, value in zip(chosen, answers, strict=True))
    return f"{listed} k{chosen[asked]}", f"v{answers[asked]}"


class Draw:
    """Whole numbers from a seed. `Random.random` is the one method whose sequence Python promises to keep."""

    def __init__(self, seed: int):
        self._random = Random(seed)

    def below(self, limit: int) -> int:
        """Uniform in [0, limit)."""
        return int(self._random.random() * limit)


GENERATORS: dict[str, Callable[..., Pair]] = {
    "reverse": partial(_rearrangement, _reverse),
    "sort": partial(_rearrangement, _sort),
    "swap": partial(_rearrangement, _swap),
    "sub": partial(_rearrangement, _sub),
    "copy": partial(_rearrangement, _copy),
    "recall": _recall,
    "toy_translation": translation_pair,
}


def generate(name: str, options: dict[str, Any]) -> dict[str, list[Pair]]:
    """Splits of distinct pairs. `options`: train, valid, test (pairs in each), seed, and the generator's own sizes.

    Raises: ValueError for an unknown generator or option, or sizes that leave too few distinct pairs.
    """
    options = dict(options)
    sizes = {
        split: options.pop(split, default) for split, default in (("valid", 500), ("test", 500), ("train", 10_000))
    }
    if min(sizes.values()) < 1:
        raise ValueError(f"task.corpus.options: every split needs at least one pair, got {sizes}")
    draw = Draw(options.pop("seed", 0))
    make = GENERATORS[name]
    seen: set[str] = set()
    splits: dict[str, list[Pair]] = {}
    for split, size in sizes.items():
        pairs: list[Pair] = []
        misses = 0
        while len(pairs) < size:
            try:
                pair = make(draw, **options)
            except TypeError as error:
                raise ValueError(f"task.corpus.options do not fit the generator {name}: {error}") from None
            if pair[0] not in seen:
                seen.add(pair[0])
                pairs.append(pair)
                misses = 0
            elif (misses := misses + 1) > 10_000:
                raise ValueError(
                    f"task.corpus.options ask for {sum(sizes.values())} distinct pairs of {name}, but there are "
                    f"hardly more than {len(seen)}: ask for fewer pairs, or for longer ones"
                )
        splits[split] = pairs
    return splits
