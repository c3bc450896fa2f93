"""Attention by the device's way, by the definition, and where its causal corner lies."""

from unittest import mock

import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from models import attention
from models.attention import attend, attend_written_out, causal_mask, to_add
from models.dropout import Dropout, masks_from
from models.kernels.attention import dot_product_attention
from models.projections.config import ProjectionConfig
from models.projections.score import DotProduct
from tests.models.make import everywhere, strategy, tokens, translator, vectors

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]  # each has its own way
H, D = 4, 6
SCORE = DotProduct(ProjectionConfig(), ProjectionConfig().sizes(H * D, H, D))


def definition(q, k, v, allowed):
    k, v = (t.repeat_interleave(H // t.shape[1], dim=1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / D**0.5
    weights = torch.where(allowed, scores, -torch.inf).softmax(-1)
    return weights @ v


def mask_of(kind, L, S):
    """What a query may look at, spelt out entry by entry."""
    if kind == "causal":
        return torch.tensor([[s - (S - L) <= i for s in range(S)] for i in range(L)])
    if kind == "padded":  # each of two sentences of its own length
        return (torch.arange(S) < torch.tensor([S, 2])[:, None])[:, None, None, :]
    return torch.tensor(True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("kind", ["everything", "causal", "padded"])
@pytest.mark.parametrize("L, S", [(5, 5), (3, 5), (1, 5)])
def test_attention_is_its_definition(L, S, kind, groups, device):
    q, k, v = vectors(2, H, L, D), vectors(2, groups, S, D, seed=2), vectors(2, groups, S, D, seed=3)
    allowed = mask_of(kind, L, S)
    expected = definition(q, k, v, allowed)
    q, k, v, allowed = (t.to(device) for t in (q, k, v, allowed))
    ours = attend(SCORE, q, k, v, allowed if kind == "padded" else None, causal=kind == "causal")
    torch_mask = allowed.expand(2, 1, L, S)
    torchs = F.scaled_dot_product_attention(q, k, v, torch_mask, enable_gqa=True)
    torch.testing.assert_close(ours.cpu(), expected)
    torch.testing.assert_close(torchs.cpu(), expected)


def test_the_causal_mask_ends_with_both_sequences():
    assert causal_mask(2, 4, torch.device("cpu")).tolist() == [[True, True, True, False], [True] * 4]


def test_attention_weights_are_dropped_where_asked_only():
    q, k, v = vectors(1, H, 5, D), vectors(1, H, 5, D, seed=2), torch.ones(1, H, 5, D)
    assert torch.allclose(attend(SCORE, q, k, v, None, False), v)  # weights sum to one
    assert not torch.allclose(attend(SCORE, q, k, v, None, False, Dropout(0.5)), v)
    assert torch.allclose(attend(SCORE, q, k, v, None, False, Dropout(0.5).eval()), v)


@pytest.mark.parametrize("p", [0.0, 0.5])
@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("kind", ["everything", "causal", "padded", "numbers"])
def test_the_kernel_is_attention_written_out_in_either_direction(kind, groups, p):
    """Value, and gradients of queries, keys and values, where both are handed the same masks of dropout."""
    q, k, v = vectors(2, H, 3, D), vectors(2, groups, 5, D, seed=2), vectors(2, groups, 5, D + 1, seed=3)
    mask = torch.randn(H, 3, 5) if kind == "numbers" else mask_of(kind, 3, 5) if kind != "everything" else None
    keep = torch.rand(2, H, 3, 5).gt(p).float() / (1 - p)
    inputs = [tensor.requires_grad_() for tensor in (q, k, v)]
    with masks_from(lambda *_: keep):
        plain = attend_written_out(SCORE, q, k, v, mask, False, Dropout(p))
    bias = None if mask is None else to_add(mask, torch.float32)
    fast = dot_product_attention(q, k, v, bias, keep if p else None, SCORE.scale)
    torch.testing.assert_close(fast, plain)
    outward = torch.randn_like(plain)
    wanted = torch.autograd.grad(plain, inputs, outward)
    for one, other in zip(torch.autograd.grad(fast, inputs, outward), wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("bias", ["none", "one for all", "of each sentence", "of each model"])
def test_models_side_by_side_attend_as_each_alone(bias):
    q, k, v = (torch.stack([vectors(2, H, 5, D, seed=s + i) for i in range(3)]) for s in (1, 5, 9))
    biases = {"none": None, "one for all": torch.randn(5, 5), "of each sentence": torch.randn(2, 1, 1, 5),
              "of each model": torch.randn(3, 2, 1, 1, 5)}[bias]  # fmt: skip
    axis = 0 if bias == "of each model" else None
    together = vmap(lambda *t: dot_product_attention(*t, None, 0.5), (0, 0, 0, axis))(q, k, v, biases)
    for i in range(3):
        own = biases[i] if axis == 0 else biases
        torch.testing.assert_close(together[i], dot_product_attention(q[i], k[i], v[i], own, None, 0.5))


def test_in_training_with_dropout_and_in_bfloat16_attention_is_the_kernels():
    """So that what is measured is what is used; without either, torch's own is the faster one."""
    q, k, v = vectors(1, H, 5, D), vectors(1, H, 5, D, seed=2), vectors(1, H, 5, D, seed=3)
    with mock.patch.object(attention, "dot_product_attention", side_effect=dot_product_attention) as kernel:
        attend(SCORE, q, k, v, None, True)
        assert kernel.call_count == 0
        attend(SCORE, q, k, v, None, True, Dropout(0.5))
        with torch.autocast("cpu", torch.bfloat16):
            attend(SCORE, q, k, v, None, True)
        with masks_from(lambda *_: torch.ones(())):
            attend(SCORE, q, k, v, None, True)
        assert kernel.call_count == 3


def attends_to(model, source, target):
    """[L, S], True where the logits at a target position depend on an encoded source token."""
    mask = torch.ones_like(source, dtype=torch.bool)
    states = model.encode(source, mask).detach().requires_grad_()
    logits = model.decode(target, states, mask)
    rows = [torch.autograd.grad(x.square().sum(), states, retain_graph=True)[0] for x in logits[0]]
    return torch.stack([row[0].abs().sum(-1) > 0 for row in rows])


@pytest.mark.parametrize("name", ["separate", "shared", "identity"])
@pytest.mark.parametrize("position", ["none", "rotary"])
def test_cross_attention_is_cross_attention_when_both_sides_are_equally_long(name, position):
    """Published code told the two apart by length: with as many source as target tokens it became causal."""
    model = translator(strategy(name), position)
    for S in (4, 5, 6):
        assert attends_to(model, tokens(1, S), tokens(1, 5, seed=2)).all()


@pytest.mark.parametrize("name", ["separate", "shared"])
def test_source_states_equal_to_target_states_are_still_another_sequence(name):
    # The same numbers on both sides: causal self-attention and attention to a source stay different things.
    sites = everywhere(strategy(name))
    block = translator(sites, "none").decoder[0]
    x = vectors(1, 5, 16)
    mask = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    across = block.cross(x, x.clone(), mask)
    torch.testing.assert_close(block.cross(x, x, mask), across)
    block.attention.load_state_dict(block.cross.state_dict())
    within = block.attention(x, None, causal=True)
    assert not torch.allclose(within[:, :-1], across[:, :-1], atol=1e-3)
    torch.testing.assert_close(within[:, -1], across[:, -1])  # the last position sees everything either way
