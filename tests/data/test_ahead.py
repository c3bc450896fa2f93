"""Batches made ahead are the loader's, and so is where a run stands."""

import pytest
import torch

from data.ahead import Ahead
from data.batch import Batch


class Counting:
    """A loader of numbered batches."""

    def __init__(self, ends: int = 99):
        self.given, self.ends = 0, ends

    def take(self, count):
        if self.given >= self.ends:
            raise ValueError("the corpus is gone")
        self.given += count
        return [Batch({"tokens": torch.tensor([[self.given - i]])}, torch.zeros(1, 1)) for i in reversed(range(count))]

    @property
    def epochs(self):
        return self.given / 10

    def state_dict(self):
        return {"index": self.given}


def numbers(batches):
    return [int(batch.inputs["tokens"]) for batch in batches]


def test_the_same_batches_in_the_same_order():
    ahead, plain = Ahead(Counting(), pinned=False), Counting()
    for _ in range(5):
        assert numbers(ahead.take(2)) == numbers(plain.take(2))


def test_state_is_that_of_what_was_given_not_of_what_is_made():
    """A run that stops here goes on with the batch that nobody has learnt from."""
    loader = Counting()
    ahead = Ahead(loader, pinned=False)
    assert ahead.state_dict() == {"index": 0}
    ahead.take(2)
    ahead._coming.result()
    assert loader.given == 4
    assert ahead.state_dict() == {"index": 2} and ahead.epochs == 0.2


def test_what_breaks_in_making_breaks_where_it_is_asked_for():
    ahead = Ahead(Counting(ends=2), pinned=False)
    assert numbers(ahead.take(2)) == [1, 2]
    with pytest.raises(ValueError, match="the corpus is gone"):
        ahead.take(2)
