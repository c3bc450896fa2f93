"""Throwing away what a block computes inside changes memory and nothing else."""

import copy

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from models.kernels.recompute import recompute
from models.loss import Objective
from tests.models.make import language_model, strategy, tokens, translator


def gradients(model, inputs, targets):
    """Of every parameter, and how many numbers the forward pass kept for them."""
    torch.manual_seed(0)
    kept = {}
    with saved_tensors_hooks(lambda t: kept.update({t.data_ptr(): t}) or t, lambda t: t):
        _, smoothed = Objective(model.train(), 0.1)(inputs, targets)
    smoothed.backward()
    return {name: p.grad for name, p in model.named_parameters()}, sum(t.numel() for t in kept.values())


@pytest.mark.parametrize("make", [language_model, translator])
def test_gradients_are_the_same_to_the_last_bit_with_dropout_and_less_is_kept(make):
    plain = make(strategy("shared"))
    for module in plain.modules():
        if hasattr(module, "p"):
            module.p = 0.3
    saving = copy.deepcopy(plain)
    recompute(saving)
    ids = tokens(2, 7)
    inputs = {"tokens": ids} if make is language_model else {
        "source": ids, "source_mask": torch.ones_like(ids, dtype=torch.bool), "target": tokens(2, 7, seed=3)
    }  # fmt: skip
    one, all_kept = gradients(plain, inputs, ids)
    other, kept = gradients(saving, inputs, ids)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert kept < 0.5 * all_kept
    with torch.no_grad():
        assert torch.equal(plain.eval()(**inputs), saving.eval()(**inputs))
    assert plain.state_dict().keys() == saving.state_dict().keys()
