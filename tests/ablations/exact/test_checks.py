"""The exact checks decide as the algebra at the top of their files says, and can decide otherwise."""

from importlib import import_module

import pytest
import torch

from ablations.claims.verdict import of_findings
from ablations.exact import CHECKS, blocks, cache, diagonals, heads, make, symmetry
from ablations.exact.findings import carry_out

EXPECTED = {
    "heads_without_projections": ("partly", [True, True, False]),
    "unsplit_shared_heads": ("supported", [True, True]),
    "any_model_width": ("partly", [True, False]),
    "any_feed_forward_width": ("refuted", [False]),
    "any_value_width": ("supported", [True]),
    "logits_without_projections": ("supported", [True, True, True]),
    "symmetry": ("partly", [True, True, False, False, False]),
    "count_parameters": ("partly", [False, True]),
    "one_matrix_or_many": ("supported", [True, True, True]),
    "block_diagonal_and_dense": ("refuted", [False, False]),
    "shared_with_diagonals": ("partly", [False, True, True]),
    "values_from_keys": ("supported", [True]),
    "word_in_two_contexts": ("undecided", []),  # an illustration: remarks alone
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_check_is_expected_to_decide_something():
    assert EXPECTED.keys() == CHECKS.keys()
    for name, file in CHECKS.items():
        assert callable(getattr(import_module(f"ablations.exact.{file}"), name))


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_decides_as_the_algebra_says_and_says_the_same_again(check):
    outcome = carry_out(check)
    verdict, holds = EXPECTED[check]
    assert [finding.holds for finding in outcome.findings if not finding.remark] == holds
    assert of_findings(outcome) == verdict
    assert all(finding.holds for finding in outcome.findings if finding.remark), "what we say ourselves must be so"
    assert all(finding.numbers for finding in outcome.findings), "no sentence without its numbers"
    assert carry_out(check) == outcome


def test_the_example_sentence_is_shown_in_numbers():
    """Two matrices of three words as tables, four as a picture; each row of weights adds up to 1."""
    outcome = carry_out("symmetry")
    scores, weights = ([[float(n) for n in row[1:]] for row in table.rows] for table in outcome.tables)
    assert scores == [list(column) for column in zip(*scores, strict=True)]
    assert weights != [list(column) for column in zip(*weights, strict=True)]
    assert all(sum(row) == pytest.approx(1, abs=2e-3) for row in weights)
    [picture] = outcome.pictures
    assert picture.labels == ("the", "red", "car") and [len(row) for row in picture.panels] == [2, 2]


def test_symmetric_weights_would_be_found_symmetric():
    """Equal embeddings give equal rows: the check of symmetry must be able to say yes."""
    even = torch.full((1, 1, 4, 4), 0.25, dtype=torch.float64)
    assert symmetry.asymmetry(even) == 0 and symmetry.circulation(even) == 0
    skew = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]], dtype=torch.float64)[None, None]
    assert symmetry.asymmetry(skew) == pytest.approx(0.1)
    # Round the circle 0 1 2 and back: (0.3 / 0.2) ** 3.
    assert symmetry.circulation(skew) == pytest.approx(3 * torch.tensor(1.5).log().item(), rel=1e-6)


def test_heads_that_differ_in_one_weight_differ():
    weights = torch.zeros(1, 3, 2, 2)
    weights[0, 2, 1, 0] = 0.125
    assert make.between_heads(weights) == 0.125


def test_a_dense_matrix_that_is_block_diagonal_leaves_nothing():
    inside = torch.block_diag(
        *[torch.ones(blocks.D_MODEL // blocks.HEADS, blocks.D_MODEL // blocks.HEADS)] * blocks.HEADS
    )
    assert blocks._beyond_blocks(inside) == 0
    assert blocks._beyond_blocks(torch.ones(blocks.D_MODEL, blocks.D_MODEL)) == pytest.approx(1 - 1 / blocks.HEADS)


def test_what_keys_do_not_span_is_out_of_reach():
    eye = torch.eye(4, dtype=torch.float64)
    assert cache._unreachable(eye[:, :2], eye) == pytest.approx(0.5)
    assert cache._unreachable(eye[:, :2], eye[:, :2]) == pytest.approx(0)
    conditioned = cache._conditioned(make.vectors(6, 6), 1e3)
    assert torch.linalg.cond(conditioned).item() == pytest.approx(1e3, rel=1e-6)


def test_absorbing_the_diagonals_matters():
    """Without the root of a b in W, outputs differ: the equality of the check is no accident."""
    a, b, c = (0.5 + make.vectors(diagonals.D_MODEL, seed=seed).abs() for seed in (2, 3, 4))
    x = make.vectors(1, 5, diagonals.D_MODEL)
    scaled, wrong = diagonals._scaled(a, b, c), diagonals._absorbed(diagonals._scaled(a, b, c), a, a, c)
    assert make.gap(scaled(x, None, True), wrong(x, None, True)) > 0.01


def test_descent_moves_weights():
    made = make.site(make.strategy("projection=shared"), heads.D_MODEL, heads.HEADS)
    assert heads._descend(made, make.vectors(1, 4, heads.D_MODEL), steps=1) > 0
