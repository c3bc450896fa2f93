"""One site alone: what a strategy promises about its maps, its memory and its scores."""

import pytest
import torch

from models.attention import SelfAttention
from models.config import PositionConfig
from models.positions import rotation
from tests.models.make import STRATEGIES, TINY, projection, shake, strategy, vectors

C, H, D = TINY.d_model, TINY.heads, TINY.width_of_head


def roles(project, x):
    """Queries, keys and values of x, heads side by side: [B, L, N * D] each."""
    q, memory = project(x, x)
    return {role: y.transpose(1, 2).flatten(2) for role, y in zip("qkv", (q, *project.read(memory)), strict=True)}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_role_is_the_product_with_its_matrix(name, bias):
    # Differences of two inputs: a bias, if there is one, cancels.
    project, x = projection(strategy(name), bias), vectors(2, 5, C)
    with_x, with_0 = roles(project, x), roles(project, torch.zeros_like(x))
    for role in "qkv":
        torch.testing.assert_close(with_x[role] - with_0[role], x @ project.matrix(role))


@pytest.mark.parametrize("name", STRATEGIES)
def test_roles_have_one_matrix_exactly_where_the_tie_says_so(name):
    config = strategy(name)
    project = projection(config)
    for a, b in ("qk", "kv", "qv"):
        same_map = config.group_of(a) == config.group_of(b) and not config.role_scale and config.role_rank is None
        first = min(project.matrix(role).shape[1] for role in (a, b))  # unsplit queries repeat their columns
        same_matrix = torch.equal(project.matrix(a)[:, :first], project.matrix(b)[:, :first])
        assert same_matrix == same_map


@pytest.mark.parametrize("name", STRATEGIES)
def test_queries_and_memory_apart_are_those_made_together(name):
    # Self-attention makes both from one product, cross-attention and decoding separately.
    project, x = projection(strategy(name)), vectors(2, 5, C)
    q, memory = project(x, x)
    other_q, other_memory = project(x, x.clone())
    torch.testing.assert_close(other_q, q)
    torch.testing.assert_close(other_memory, memory)
    assert all(torch.equal(a, b) for a, b in zip(project.memory(x), other_memory, strict=True))


@pytest.mark.parametrize("name", STRATEGIES)
def test_memory_is_as_wide_as_stated(name):
    project = projection(strategy(name))
    _, memory = project(*[vectors(2, 5, C)] * 2)
    assert sum(tensor.shape[-1] for tensor in memory) == project.memory_width
    assert all(tensor.shape[:2] == (2, 5) for tensor in memory)


@pytest.mark.parametrize("name", STRATEGIES)
def test_keys_and_values_are_one_tensor_exactly_where_one_is_remembered_and_nothing_tells_them_apart(name):
    config = strategy(name)
    project = projection(config)
    _, memory = project(*[vectors(2, 5, C)] * 2)
    k, v = project.read(memory)
    shared = config.group_of("k") == config.group_of("v") and config.role_rank is None and not config.remove_conflict
    assert (len(memory) == 1) == shared
    assert (k is v) == (shared and not config.role_scale)


def test_the_strategies_of_the_notes_have_the_matrices_of_the_notes():
    assert torch.equal(projection(strategy("identity")).matrix("q"), torch.eye(C))
    assert torch.equal(projection(strategy("identity_v")).matrix("v"), torch.eye(C))
    assert torch.linalg.matrix_rank(projection(strategy("low_rank")).matrix("k")) == 3
    blocks = projection(strategy("block_diagonal")).matrix("q") != 0
    assert torch.equal(blocks, torch.block_diag(*torch.ones(H, C // H, D)).bool())


@pytest.mark.parametrize("position", ["none", "rotary"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_scores_are_symmetric_exactly_where_queries_are_keys(name, position):
    """s_i R_i R_j^T s_j is the same number as s_j R_j R_i^T s_i: rotation keeps the symmetry of one map."""
    config = strategy(name)
    q, memory = (project := projection(config))(*[vectors(2, 5, C)] * 2)
    k, _ = project.read(memory)
    if rotate := rotation(PositionConfig(kind=position), q.shape[-1]):
        q, k = rotate(q, 0), rotate(k, 0)
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], dim=1).mT
    if config.group_of("q") != config.group_of("k") or config.role_rank:
        promised = False
    elif config.role_scale:  # two diagonals commute with each other, not with a rotation
        promised = position == "none"
    else:
        promised = True
    assert torch.allclose(scores, scores.mT, atol=1e-4) == promised


def test_scores_of_shared_maps_are_not_symmetric_across_two_sequences():
    project = projection(strategy("q_is_k"))
    q, memory = project(vectors(1, 5, C), vectors(1, 5, C, seed=2))
    scores = q @ project.read(memory)[0].mT
    assert not torch.allclose(scores, scores.mT, atol=1e-2)


@pytest.mark.parametrize("name", ["shared", "k_is_v", "k_is_v_mqa"])
def test_with_rotary_positions_values_are_the_unrotated_keys(name):
    rotate = rotation(PositionConfig(kind="rotary"), D)
    attention = SelfAttention(strategy(name), C, H, D, bias=True, rotate=rotate)
    shake(attention)
    x = vectors(2, 5, C)
    s = attention.project.memory(x)[0].unflatten(-1, (-1, D)).transpose(1, 2)  # keys and values, never rotated
    s = s.repeat_interleave(H // s.shape[1], dim=1)
    weights = (rotate(attention.project.query(x), 0) @ rotate(s, 0).mT / D**0.5).softmax(-1)
    expected = attention.out((weights @ s).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, None, causal=False), expected)
