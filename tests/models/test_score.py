"""How queries meet keys: each score by its definition, normalised keys, no view of oneself, distances."""

from dataclasses import replace

import pytest
import torch

from models.attention import CrossAttention, SelfAttention
from models.positions import Alibi, alibi_slopes
from models.projections.config import ProjectionConfig
from models.projections.score import score, without_self
from tests.models.make import TINY, shake, strategy, vectors

C, H, D = TINY.d_model, TINY.heads, TINY.width_of_head


def scored(config, q, k):
    """Scores of one query and one key list by the module, and the module."""
    module = score(config, config.sizes(C, H, D))
    shake(module)
    return module(*module.prepare(q, k)), module


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", ["scaled_dot", "dot", "general", "pairwise", "additive", "concat"])
def test_every_score_is_its_definition_pair_by_pair(name, groups):
    q, k = vectors(2, H, 3, D), vectors(2, groups, 5, D, seed=2)
    ours, module = scored(ProjectionConfig(score=name), q, k)
    assert ours.shape == (2, H, 3, 5)
    for h in range(H):
        for i in range(3):
            for j in range(5):
                a, b = q[1, h, i], k[1, h * groups // H, j]
                if name in ("scaled_dot", "dot"):
                    expected = a @ b
                elif name in ("general", "pairwise"):
                    expected = a @ module.weight[h] @ b
                elif name == "additive":
                    expected = module.combine[h, 0] @ torch.tanh(module.query[h] @ a + module.key[h] @ b)
                else:
                    expected = module.combine[h, 0] @ torch.tanh(module.joint[h] @ torch.cat([a, b]))
                if name in ("scaled_dot", "pairwise"):
                    expected = expected / D**0.5
                torch.testing.assert_close(ours[1, h, i, j], expected)


def test_concat_and_additive_are_the_same_functions():
    q, k = vectors(1, H, 3, D), vectors(1, H, 5, D, seed=2)
    additive, one = scored(ProjectionConfig(score="additive"), q, k)
    concat, other = scored(ProjectionConfig(score="concat"), q, k)
    assert not torch.allclose(additive, concat)
    other.load_state_dict({"joint": torch.cat([one.query, one.key], dim=-1).detach(), "combine": one.combine.detach()})
    torch.testing.assert_close(other(*other.prepare(q, k)), additive)


@pytest.mark.parametrize("norm, length", [("l2", 1.0), ("rms", D**0.5)])
def test_normalised_keys_have_one_length_and_two_temperatures_are_in_circulation(norm, length):
    q, k = vectors(1, H, 3, D), 7 * vectors(1, H, 5, D, seed=2)
    ours, module = scored(ProjectionConfig(key_norm=norm), q, k)
    torch.testing.assert_close(module.prepare(q, k)[1].norm(dim=-1), torch.full((1, H, 5), length))
    torch.testing.assert_close(ours, q @ (k / k.norm(dim=-1, keepdim=True)).mT * length / D**0.5)


def test_a_pairwise_score_starts_as_its_file_says():
    q = vectors(1, H, 5, D)
    config = replace(strategy("pairwise"), tie="qk-v")
    for start, plain, symmetric in (("identity", True, True), ("symmetric", False, True), ("xavier", False, False)):
        module = score(replace(config, score_init=start), config.sizes(C, H, D))
        shake(module)
        module.settle()
        scores = module(*module.prepare(q, q))
        assert torch.allclose(scores, q @ q.mT / D**0.5) == plain
        assert torch.allclose(scores, scores.mT, atol=1e-5) == symmetric


def test_nobody_sees_himself_unless_there_is_nobody_else():
    causal = torch.ones(3, 3).tril().bool()
    assert without_self(causal).tolist() == [[True, False, False], [True, False, False], [True, True, False]]
    alone = torch.tensor([[True, False, False]]).expand(3, 3)  # one real key: only the padding sees somebody else
    assert without_self(alone).tolist() == [[True, False, False]] * 3
    continued = torch.ones(2, 5).tril(3).bool()  # queries 3 and 4 of five
    assert without_self(continued).tolist() == [[True, True, True, False, False], [True, True, True, True, False]]


def attention(kind, **changes):
    module = kind(replace(ProjectionConfig(), **changes), C, H, D, bias=True)
    shake(module)
    return module


def test_the_own_position_has_no_weight_in_self_attention_and_means_nothing_across_two_sequences():
    x = vectors(2, 5, C)
    own = attention(SelfAttention, no_self=True).look(x, None, False).weights_BHLS.diagonal(dim1=-2, dim2=-1)
    assert own.eq(0).all()
    own = attention(SelfAttention, no_self=True).look(x, None, True).weights_BHLS.diagonal(dim1=-2, dim2=-1)
    assert own[..., 0].eq(1).all() and own[..., 1:].eq(0).all()
    torch.testing.assert_close(
        attention(CrossAttention, no_self=True)(x, x.clone(), None), attention(CrossAttention)(x, x.clone(), None)
    )


@pytest.mark.parametrize("name", ["separate", "reformer", "pairwise", "additive", "unsplit", "narrow_values", "gqa"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_look_inside_is_what_the_forward_pass_computes(name, causal):
    x, config = vectors(2, 5, C), strategy(name)
    module = SelfAttention(config, C, H, D, bias=True, distance=Alibi(config.heads or H))
    shake(module)
    mask = None if causal else (torch.arange(5) < torch.tensor([5, 3])[:, None])[:, None, None]
    look = module.look(x, mask, causal)
    v = look.v_BGSE.repeat_interleave(module.heads // look.v_BGSE.shape[1], dim=1)
    y = module.out((look.weights_BHLS @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(y, module(x, mask, causal))
    torch.testing.assert_close(look.weights_BHLS.sum(-1), torch.ones(2, module.heads, 5))


@pytest.mark.parametrize("padded", [True, False])
def test_a_mask_of_its_own_for_each_head_names_the_batch_too(monkeypatch, padded):
    """[H, L, S] would be read as [B, L, S] by torch's cuDNN kernel, which refuses it."""
    masks = []
    monkeypatch.setattr("models.attention.attend", lambda s, q, k, v, mask, *_: masks.append(mask) or q)
    module = SelfAttention(ProjectionConfig(), C, H, D, bias=True, distance=Alibi(H))
    module(vectors(2, 5, C), torch.ones(2, 1, 1, 5).bool() if padded else None, not padded)
    assert masks[0].shape == (2 if padded else 1, H, 5, 5)


@pytest.mark.parametrize("name", ["unsplit", "shared_unsplit"])
def test_unsplit_heads_attend_alike_until_positions_tell_them_apart(name):
    x, config = vectors(2, 5, C), strategy(name)
    for distance, alike in ((None, True), (Alibi(H), False)):
        module = SelfAttention(config, C, H, D, bias=True, distance=distance)
        shake(module)
        weights = module.look(x, None, True).weights_BHLS
        assert torch.equal(weights, weights[:, :1].expand_as(weights)) == alike


def test_slopes_are_those_of_the_paper():
    assert alibi_slopes(8) == [2**-h for h in range(1, 9)]
    assert alibi_slopes(4) == [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    assert alibi_slopes(6) == [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]
    assert alibi_slopes(1) == [1 / 256]


def test_distances_count_both_ways_from_where_the_queries_stand():
    bias = Alibi(4)(2, 4, torch.device("cpu"))
    assert (bias[0] * -4).tolist() == [[2, 1, 0, 1], [3, 2, 1, 0]]
