"""How often a fault was injected, and how often what is promised held."""

import random
from collections.abc import Iterator


class Trials:
    """Counts tries; every draw of one test is the same each time it runs.

    A test that does not ask for several is one try. One that does stops at the first that breaks the promise: its try
    is counted, and not as survived.
    """

    def __init__(self, full: bool, name: str):
        self.full, self.random = full, random.Random(name)
        self.tries = self.survived = 0

    def __call__(self, full: int, quick: int) -> Iterator[int]:
        """Numbers of tries: so many in `make faults`, so many in `make test`."""
        for number in range(full if self.full else quick):
            self.tries += 1
            yield number
            self.survived += 1

    def add(self, tries: int, survived: int) -> None:
        """Tries that were counted elsewhere, in another process for instance."""
        self.tries += tries
        self.survived += survived
