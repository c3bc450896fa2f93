"""Dropout: how much is dropped, what is left, and who draws."""

import pytest
import torch

from models.dropout import Dropout, drawn, masks_from


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_the_share_that_is_dropped_and_the_mean_that_is_kept(p):
    """Of a million elements, within four standard deviations; also where the number is no multiple of four."""
    torch.manual_seed(0)
    n = 1_000_003
    mask = drawn(torch.Size([n]), p, torch.float32)
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs((mask == 0).double().mean() - p) < 4 * deviation + 2**-17
    assert abs(mask.double().mean() - 1) < 4 * deviation / (1 - p)
    assert len(mask.unique()) == 2
    four_by_four = mask[: n // 4 * 4].view(-1, 4)
    together = (four_by_four[:, :1] == four_by_four[:, 1:]).double().mean(0)
    assert (together - (p**2 + (1 - p) ** 2)).abs().max() < 4 * (0.25 / (n // 4)) ** 0.5, "quarters are independent"


def test_a_generator_of_ones_own_draws_what_the_global_one_would():
    torch.manual_seed(7)
    first, second = (drawn(torch.Size([3, 5]), 0.3, torch.float32) for _ in range(2))
    generator = torch.Generator().manual_seed(7)
    own = [drawn(torch.Size([3, 5]), 0.3, torch.float32, generator) for _ in range(2)]
    assert torch.equal(first, own[0]) and torch.equal(second, own[1]) and not torch.equal(first, second)
    assert torch.equal(own[0].bfloat16() > 0, first > 0)


def test_nothing_is_dropped_outside_of_training():
    x, dropout = torch.randn(4, 4), Dropout(0.5)
    assert torch.equal(dropout.eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert not torch.equal(dropout.train()(x), x)


def test_masks_can_be_handed_in():
    """What is dropped is then what the source says, and the global stream is left alone."""
    x, asked = torch.ones(2, 3), []

    def source(shape, p, dtype):
        asked.append((shape, p, dtype))
        return torch.full(shape, 2.0, dtype=dtype)

    before = torch.get_rng_state()
    with masks_from(source):
        assert torch.equal(Dropout(0.25)(x), 2 * x)
    assert asked == [((2, 3), 0.25, torch.float32)] and torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(Dropout(0.25)(x), 2 * x)
