"""Evaluation text that stands in the training text too."""

from typing import Any

from data.corpora import Item

REPEATED_LINE = 10  # words from which a line that train holds too counts as a duplicate


class Repeats:
    """Counts what of the evaluation text stands in the training text too: pairs, labelled sentences, long lines."""

    def __init__(self) -> None:
        self._wanted: dict[Any, list[str]] = {}  # pair or line -> the split of each occurrence
        self._met: set[Any] = set()

    def add(self, split: str, item: Item) -> None:
        """One more item; evaluation splits must come before train."""
        units: list[Any] = [item]
        if len(item) == 1:
            units = [line for line in item[0].split("\n") if len(line.split()) >= REPEATED_LINE]
        for unit in units:
            if split != "train":
                self._wanted.setdefault(unit, []).append(split)
            elif unit in self._wanted:
                self._met.add(unit)

    def found(self) -> dict[str, int]:
        """Split -> how many of its pairs, labelled sentences or long lines train holds too."""
        found = dict.fromkeys((split for splits in self._wanted.values() for split in splits), 0)
        for unit in self._met:
            for split in self._wanted[unit]:
                found[split] += 1
        return dict(sorted(found.items()))
