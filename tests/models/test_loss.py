"""The loss: real targets alone, the same however it is computed."""

import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from models.kernels import cross_entropy
from models.loss import SMALL, losses_of_logits, summed_losses

C = 8


def parts(vocabulary, biased, tokens=(5, 7)):
    """States, weight, bias, targets, of which a third is none."""
    torch.manual_seed(0)
    states = torch.randn(*tokens, C, requires_grad=True)
    weight = torch.randn(vocabulary, C, requires_grad=True)
    bias = torch.randn(vocabulary, requires_grad=True) if biased else None
    targets = torch.randint(vocabulary, tokens).masked_fill(torch.rand(tokens) < 0.3, -100)
    return states, weight, bias, targets


def gradients(smoothed, *inputs):
    return torch.autograd.grad(smoothed, [tensor for tensor in inputs if tensor is not None], retain_graph=True)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("vocabulary", [5, SMALL * C + 9])
def test_the_plain_definition_the_fast_way_and_torch_agree(vocabulary, smoothing, biased, monkeypatch):
    """In losses and in all gradients, with chunks of two tokens that do not divide the batch."""
    monkeypatch.setitem(cross_entropy.CHUNK, "cpu", 2 * vocabulary)
    states, weight, bias, targets = parts(vocabulary, biased)
    logits = F.linear(states, weight, bias)
    real = logits.flatten(0, 1), targets.flatten()
    torchs = F.cross_entropy(*real, ignore_index=-100, reduction="sum", label_smoothing=smoothing)
    plain = losses_of_logits(logits, targets, smoothing)
    fast = summed_losses(states, weight, bias, targets, smoothing)
    torch.testing.assert_close(plain[0], F.cross_entropy(*real, ignore_index=-100, reduction="sum"))
    torch.testing.assert_close(fast[0].detach(), plain[0].detach())
    wanted = gradients(torchs * 3, states, weight, bias)
    for found in (plain[1], fast[1]):
        torch.testing.assert_close(found, torchs)
        for one, other in zip(gradients(found * 3, states, weight, bias), wanted, strict=True):
            torch.testing.assert_close(one, other)


def test_padding_is_not_scored():
    """Whatever stands where no target is changes nothing."""
    states, weight, _, targets = parts(100, False)
    noise = states + torch.randn_like(states) * (targets < 0)[..., None]
    for smoothing in (0.0, 0.1):
        for one, other in zip(
            summed_losses(states, weight, None, targets, smoothing),
            summed_losses(noise, weight, None, targets, smoothing),
            strict=True,
        ):
            torch.testing.assert_close(one, other)
    assert summed_losses(states, weight, None, torch.full_like(targets, -100), 0.1)[1] == 0.0


def test_products_in_bfloat16_stay_near_float32():
    """Losses and sums are kept in float32; what bfloat16 rounds is within its eight bits."""
    states, weight, _, targets = parts(200, False, tokens=(64,))
    loss, smoothed = summed_losses(states, weight, None, targets, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_smoothed = summed_losses(states, weight, None, targets, 0.1)
    assert rounded.dtype == torch.float32 and rounded != loss
    torch.testing.assert_close(rounded, loss, rtol=0.01, atol=0.0)
    for one, other in zip(
        gradients(rounded_smoothed, states, weight), gradients(smoothed, states, weight), strict=True
    ):
        assert one.dtype == torch.float32 and (one - other).norm() < 0.02 * other.norm()


def test_models_side_by_side_have_the_losses_and_gradients_of_each_alone(monkeypatch):
    monkeypatch.setitem(cross_entropy.CHUNK, "cpu", 1000)
    several = [parts(100, True), parts(100, True, tokens=(5, 7))]
    several[1] = (several[1][0].detach() * 2, several[1][1].detach() - 1, several[1][2].detach(), several[1][3].flip(0))
    stacked = [torch.stack([run[i].detach() for run in several]) for i in range(4)]
    leaves = [tensor.requires_grad_() for tensor in stacked[:3]]
    losses, smoothed = vmap(lambda s, w, b, t: summed_losses(s, w, b, t, 0.1))(*leaves, stacked[3])
    found = gradients(smoothed.sum(), *leaves)
    for i, run in enumerate(several):
        own = [tensor.detach().requires_grad_() for tensor in run[:3]]
        loss, one = summed_losses(*own, run[3], 0.1)
        torch.testing.assert_close(losses[i], loss)
        torch.testing.assert_close(smoothed[i].detach(), one.detach())
        for mine, stacked_gradient in zip(gradients(one, *own), found, strict=True):
            torch.testing.assert_close(stacked_gradient[i], mine)


def test_validation_works_out_no_gradient(monkeypatch):
    """It would be thrown away, at twice the products."""
    states, weight, bias, targets = parts(100, True)
    trained = summed_losses(states, weight, bias, targets, 0.0)[0]
    monkeypatch.setattr(cross_entropy._Sums, "_add_gradient", lambda *_: pytest.fail("worked out a gradient"))
    with torch.inference_mode():
        torch.testing.assert_close(summed_losses(states, weight, bias, targets, 0.0)[0], trained)
