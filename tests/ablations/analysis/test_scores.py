"""Four positions and weights written by hand: every measure of attention has a value known beforehand."""

import math

import pytest
import torch

from ablations.analysis import scores

ALL = torch.ones(1, 1, 4, 4, dtype=torch.bool)
CAUSAL = ALL.tril()
REAL = torch.ones(1, 4, dtype=torch.bool)
UNIFORM = torch.full((1, 1, 4, 4), 0.25)
IDENTITY = torch.eye(4)[None, None]


def softmaxed(scores_LS, allowed):
    return scores_LS.masked_fill(~allowed, -torch.inf).softmax(-1)


def number(x):
    [value] = x.tolist()
    return value


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_uniform_attention_has_all_the_entropy_there_is():
    assert number(scores.entropy(UNIFORM, ALL)) == pytest.approx(math.log(4))
    assert number(scores.normalised_entropy(UNIFORM, ALL)) == pytest.approx(1)
    causal = softmaxed(torch.zeros(1, 1, 4, 4), CAUSAL)
    assert number(scores.entropy(causal, CAUSAL)) == pytest.approx(math.log(24) / 4)  # (ln 1 + ln 2 + ln 3 + ln 4) / 4
    assert number(scores.normalised_entropy(causal, CAUSAL)) == pytest.approx(1)  # the first query does not count


def test_attention_to_oneself_has_none_and_is_symmetric():
    assert number(scores.entropy(IDENTITY, ALL)) == number(scores.normalised_entropy(IDENTITY, ALL)) == 0
    assert number(scores.own_position(IDENTITY, ALL)) == 1
    assert number(scores.asymmetry(IDENTITY, ALL)) == 0
    assert number(scores.own_position(UNIFORM, ALL)) == 0.25


def test_entropy_of_a_hand_made_row():
    row = torch.tensor([[[[0.5, 0.25, 0.25]]]])
    assert number(scores.entropy(row, row > 0)) == pytest.approx(1.5 * math.log(2))
    assert number(scores.normalised_entropy(row, row > 0)) == pytest.approx(1.5 * math.log(2) / math.log(3))


def test_symmetry_of_scores_runs_from_skew_to_symmetric():
    S = random(2, 3, 4, 4)
    real = REAL.expand(2, -1)
    assert scores.symmetry(S + S.mT, real).tolist() == pytest.approx([1] * 3)
    assert scores.symmetry(S - S.mT, real).tolist() == pytest.approx([-1] * 3)
    assert scores.symmetry(S.triu(1), real).tolist() == pytest.approx([0] * 3)  # half of it each
    mixed = torch.tensor([[[[0.0, 3.0], [1.0, 0.0]]]])  # parts [[0, 2], [2, 0]] and [[0, 1], [-1, 0]]: (8 - 2) / 10
    assert number(scores.symmetry(mixed, REAL[:, :2])) == pytest.approx(0.6)


def test_asymmetry_of_weights_runs_from_mutual_to_one_sided():
    assert number(scores.asymmetry(UNIFORM, ALL)) == 0
    cycle = torch.eye(4).roll(1, 1)[None, None]  # each looks at the next one only
    assert number(scores.asymmetry(cycle, ALL)) == 1
    two = torch.tensor([[[[0.25, 0.75], [0.25, 0.75]]]])  # |.75 - .25| / (.75 + .25)
    assert number(scores.asymmetry(two, ALL[..., :2, :2])) == pytest.approx(0.5)


def test_asymmetry_says_nothing_where_nobody_can_look_back():
    assert math.isnan(number(scores.asymmetry(softmaxed(random(1, 1, 4, 4), CAUSAL), CAUSAL)))


def test_symmetric_scores_do_not_make_symmetric_weights():
    """The claim "Q = K makes attention symmetric" holds before the softmax, whose rows have sums of their own."""
    S = random(1, 1, 4, 4)
    S = S + S.mT
    assert number(scores.symmetry(S, REAL)) == pytest.approx(1)
    assert number(scores.asymmetry(S.softmax(-1), ALL)) > 0.1


def test_spread_is_the_deviation_of_what_a_query_may_see():
    S = torch.tensor([[[[1.0, 3.0, 99.0], [5.0, 5.0, 5.0], [0.0, 0.0, 6.0]]]])
    allowed = torch.tensor([[[[True, True, False], [True, True, True], [False, False, True]]]])
    assert number(scores.spread(S, allowed)) == pytest.approx((1 + 0) / 2)  # the last row has one key: no deviation
    assert number(scores.spread(S + 100, allowed)) == pytest.approx(0.5)


def test_spread_of_scaled_products_of_unit_normal_vectors_is_one_whatever_the_width():
    for width in (16, 256):
        q, k = random(1, 1, 200, width), random(1, 1, 200, width, seed=1)
        S = q @ k.mT * width**-0.5
        assert number(scores.spread(S, torch.ones_like(S, dtype=torch.bool))) == pytest.approx(1, abs=0.05)


def test_padding_counts_nowhere():
    """Two rows, the second with three real positions: whatever stands at the fourth, every number stays."""
    real = torch.tensor([[True] * 4, [True] * 3 + [False]])
    allowed = (real[:, None, :, None] & real[:, None, None, :]).expand(2, 2, 4, 4)
    S = random(2, 2, 4, 4)

    def measures(S):
        A = softmaxed(S, real[:, None, None, :])
        found = [f(A, allowed) for f in (scores.entropy, scores.normalised_entropy, scores.own_position)]
        return [*found, scores.asymmetry(A, allowed), scores.spread(S, allowed), scores.symmetry(S, real)]

    other = S.clone()
    other[1, :, 3], other[1, :, :, 3] = 50.0, -50.0
    for before, after in zip(measures(S), measures(other), strict=True):
        assert torch.equal(before, after)
