"""Fused, per role and per head are storage: nothing that is computed, saved or learnt may depend on it."""

import pytest
import torch
from torch.nn import functional as F

from models.projections.config import STORAGES
from tests.models.make import STRATEGIES, full_size, language_model, pairs, strategy, translator

OTHERS = [storage for storage in STORAGES if storage != "per_role"]


def models(name, storage, bias=True):
    """The same translator in the plain storage and in another."""
    return [translator(strategy(name, storage=s), bias=bias, seed=3) for s in ("per_role", storage)]


def loss(model):
    return F.cross_entropy(model(**pairs()).flatten(0, 1), pairs()["target"].flatten())


def assert_same_state(a, b, exactly=True):
    a, b = a.state_dict(), b.state_dict()
    assert a.keys() == b.keys()
    for key in a:
        if exactly:
            assert torch.equal(a[key], b[key]), key
        else:
            torch.testing.assert_close(a[key], b[key], msg=lambda m, key=key: f"{key}: {m}")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("storage", OTHERS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_initial_weights_outputs_and_one_step_of_learning_are_those_of_the_plain_storage(name, storage, bias):
    if full_size(name).map != "dense":
        with pytest.raises(ValueError, match="is for dense maps"):
            models(name, storage)
        return
    plain, other = models(name, storage, bias)
    assert_same_state(plain, other)
    torch.testing.assert_close(other(**pairs()), plain(**pairs()))
    for model in (plain, other):
        before = loss(model)
        before.backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()  # the weights now hold the gradients
        assert loss(model) < before
    assert_same_state(plain, other, exactly=False)


@pytest.mark.parametrize("storage", OTHERS)
@pytest.mark.parametrize("name", ["separate", "q_is_v", "identity_k", "gqa", "shared_low_rank"])
def test_checkpoints_pass_from_one_storage_to_another(name, storage):
    plain, other = models(name, storage)
    learnt = translator(strategy(name), seed=4)
    other.load_state_dict(learnt.state_dict())
    plain.load_state_dict(other.state_dict())
    assert_same_state(plain, learnt)
    torch.testing.assert_close(other(**pairs()), learnt(**pairs()))


def test_the_storages_do_differ_in_memory():
    # Else the tests above would compare a thing with itself.
    shapes = {s: len(list(language_model(strategy("separate", storage=s)).parameters())) for s in STORAGES}
    assert shapes["fused"] < shapes["per_role"] < shapes["per_head"]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_checkpoint_of_another_strategy_is_refused(storage):
    model = language_model(strategy("separate", storage=storage))
    with pytest.raises(RuntimeError, match="Missing key|Unexpected key"):
        model.load_state_dict(language_model(strategy("shared")).state_dict())
    with pytest.raises(RuntimeError, match="size mismatch|Missing key"):
        model.load_state_dict(language_model(strategy("gqa")).state_dict())


@pytest.mark.parametrize("storage", STORAGES)
def test_a_saved_state_does_not_change_with_later_training(storage):
    # What a checkpoint holds may share memory with the model, as in torch; a copy of it must not.
    model = language_model(strategy("separate", storage=storage))
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(not torch.equal(value, saved[key]) for key, value in model.state_dict().items())
    model.load_state_dict(saved)
    assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())
