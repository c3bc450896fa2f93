"""Generated tasks, as pairs of space-separated words: source and target, or text and label.

Deterministic; no source stands in two splits.
"""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import Any

from data.toy_language import translation_pair
from data.toy_sentiment import opinion

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


def _directed(draw: "Draw", names: int = 8, contents: int = 4, shortest: int = 4, longest: int = 8) -> Pair:
    """Directed lookup: an item is one word name:pointer:content; the answer is what each one points to, in order.

    "n3:n7:c2" must read n7, and n7 must not read n3. The pointers form one cycle through the names present: each name
    points at exactly one, its successor, and exactly one points at it; with three names or more these are never the
    same. A symmetric matrix of scores, s(a, b) = s(b, a), cannot have the maximum of every row at the successor: with
    the names numbered along the cycle, row i wants s(i, i + 1) > s(i, i - 1) = s(i - 1, i), so the scores of successive
    edges would have to grow all the way around the cycle, and the last be less than the first.
    """
    count = shortest + draw.below(longest - shortest + 1)
    if count < 3:
        raise ValueError(f"task.corpus.options: a cycle of {count} points back: directed needs shortest=3 or more")
    if count > names:
        raise ValueError(f"task.corpus.options: {count} items need as many distinct names, but names={names}")
    cycle = _shuffled(draw, range(names))[:count]
    content = {name: draw.below(contents) for name in cycle}
    successor = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    listed = _shuffled(draw, cycle)
    items = " ".join(f"n{name}:n{successor[name]}:c{content[name]}" for name in listed)
    return items, " ".join(f"c{content[successor[name]]}" for name in listed)


def _shuffled(draw: "Draw", items: Iterable[int]) -> list[int]:
    remaining = list(items)
    return [remaining.pop(draw.below(len(remaining))) for _ in range(len(remaining))]


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
    "directed": _directed,
    "toy_translation": translation_pair,
    "toy_sentiment": opinion,
}


def kind_of(name: str) -> str:
    """The kind of task that a generator is for."""
    return "classification" if GENERATORS[name] is opinion else "translation"


def generate(name: str, options: dict[str, Any]) -> dict[str, list[Pair]]:
    """Splits of distinct pairs. `options`: train, valid, test (pairs in each), seed, and the generator's own sizes.

    `long` (default 0) more pairs make a split `test_long`, all longer than `longest` and up to `longest_long`: what a
    model trained on short ones does with them. The other splits are the same with and without it.

    Raises: ValueError for an unknown generator or option, or sizes that leave too few distinct pairs.
    """
    options = dict(options)
    long, longest_long = options.pop("long", 0), options.pop("longest_long", None)
    sizes = {
        split: options.pop(split, default) for split, default in (("valid", 500), ("test", 500), ("train", 10_000))
    }
    if min(sizes.values()) < 1:
        raise ValueError(f"task.corpus.options: every split needs at least one pair, got {sizes}")
    draw = Draw(options.pop("seed", 0))
    own = dict.fromkeys(sizes, options)
    if long:
        own["test_long"] = _longer(name, options, longest_long)
        sizes["test_long"] = long  # drawn last
    make = GENERATORS[name]
    seen: set[str] = set()
    splits: dict[str, list[Pair]] = {}
    for split, size in sizes.items():
        pairs: list[Pair] = []
        misses = 0
        while len(pairs) < size:
            try:
                pair = make(draw, **own[split])
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


def _longer(name: str, options: dict[str, Any], longest_long: int | None) -> dict[str, Any]:
    """The options of pairs beyond `longest`."""
    if "longest" not in options or longest_long is None:
        raise ValueError(
            f"task.corpus.options.long asks {name} for pairs longer than any in training: give longest and longest_long"
        )
    if longest_long <= options["longest"]:
        raise ValueError(
            f"task.corpus.options.longest_long={longest_long} must be above longest={options['longest']}: or set long=0"
        )
    return options | {"shortest": options["longest"] + 1, "longest": longest_long}
