"""Refusing an unknown name with the nearest known one."""

import difflib
from collections.abc import Iterable


def one_of(key: str, value: str, names: Iterable[str]) -> None:
    """Raise a ValueError unless `value` is among `names`."""
    names = list(names)
    if value not in names:
        raise ValueError(f"{key}={value!r} is unknown{did_you_mean(value, names)} (known: {', '.join(names)})")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The clause ": did you mean 'shared'?" where some name is near enough, else nothing."""
    near = nearest(word, names)
    return f": did you mean {near!r}?" if near else ""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is a misspelling of, if any."""
    cutoff = 0.6 if len(str(word)) > 3 else 0.5  # one wrong letter of two, as in l3 for l2
    near = difflib.get_close_matches(str(word), list(names), n=1, cutoff=cutoff)
    return near[0] if near else None
