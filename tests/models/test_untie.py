"""A shared matrix role by role: parts that sum to the whole, and training without their conflicts."""

import pytest
import torch
from torch.nn import functional as F

from models.projections.conflict import without_conflict
from models.projections.untie import untied
from tests.models.make import full_size, language_model, pairs, strategy, translator

SHARING = ["shared", "q_is_k", "k_is_v", "q_is_v", "shared_scaled", "shared_low_rank", "k_is_v_gqa", "shared_unsplit"]


def backward(model):
    model.zero_grad()
    loss = F.cross_entropy(model(**pairs()).flatten(0, 1), pairs()["target"].flatten())
    loss.backward()
    return loss.detach()


def gradients(model):
    """Of the maps, by the names that storage does not change."""
    result = {}
    for name, module in model.named_modules():
        if name.endswith("project"):
            parts = {k: p.grad for k, p in module.maps.named_parameters()}
            names = list(module.maps.widths) if hasattr(module.maps, "widths") else None
            if names is None:
                result |= {(name, k.split(".")[0]): g for k, g in parts.items() if k.endswith("weight")}
            else:
                split = parts["weight"].split(list(module.maps.widths.values()))
                result |= {(name, n): g for n, g in zip(names, split, strict=True)}
    return result


@pytest.mark.parametrize("name", SHARING)
def test_the_parts_of_a_shared_gradient_sum_to_it(name):
    model = translator(strategy(name)).double()
    loss = backward(model)
    whole = {key: g.clone() for key, g in gradients(model).items()}
    config, names = full_size(name), set()
    with untied(model) as copies:
        assert torch.isclose(backward(model), loss, rtol=1e-12)
        for where, weights in copies.items():
            for group in (g for g in config.groups() if len(g) > 1):
                assert set(group) <= set(weights)
                total = sum(weights[role].grad for role in group)
                torch.testing.assert_close(total, whole[where, group[0]], rtol=1e-10, atol=1e-13)
                names.add(where)
    assert len(names) == 6  # every site of a translator with two layers on either side


@pytest.mark.parametrize("name", [*SHARING, "separate", "identity", "low_rank", "shared_without_conflict"])
def test_untying_computes_the_same_and_leaves_nothing_behind(name):
    model = translator(strategy(name))
    before, keys, modules = model(**pairs()), dict(model.state_dict()), [id(m) for m in model.modules()]
    with untied(model) as copies:
        torch.testing.assert_close(model(**pairs()), before)
        assert bool(copies) == (name not in ("separate", "identity", "low_rank"))
    assert torch.equal(model(**pairs()), before)
    assert [id(m) for m in model.modules()] == modules
    assert all(torch.equal(keys[key], value) for key, value in model.state_dict().items())


def test_conflict_is_taken_out_of_each_gradient_by_hand():
    g, h = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    # g.h = -1: g - (-1 / 2) h = (.5, .5); h - (-1 / 1) g = (0, 1)
    assert [t.tolist() for t in without_conflict([g, h])] == [[0.5, 0.5], [0.0, 1.0]]
    agreeing = [torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.0, 2.0])]
    assert all(torch.equal(a, b) for a, b in zip(without_conflict(agreeing), agreeing, strict=True))
    opposite = without_conflict([torch.tensor([2.0]), torch.tensor([-1.0])])
    assert [t.tolist() for t in opposite] == [[0.0], [0.0]]
    assert without_conflict([torch.zeros(2), g])[0].tolist() == [0.0, 0.0]  # a role without a gradient breaks nothing


def test_training_without_conflict_has_the_model_of_sharing_and_the_gradient_of_the_intervention():
    plain, freed = translator(strategy("shared")).double(), translator(strategy("shared_without_conflict")).double()
    freed.load_state_dict(plain.state_dict())
    torch.testing.assert_close(freed(**pairs()), plain(**pairs()))
    with untied(plain) as copies:
        backward(plain)
        expected = {where: sum(without_conflict([w.grad for w in roles.values()])) for where, roles in copies.items()}
    backward(plain)
    backward(freed)
    theirs, changed = gradients(plain), 0
    for (where, _), gradient in gradients(freed).items():
        torch.testing.assert_close(gradient, expected[where], rtol=1e-10, atol=1e-13)
        changed += not torch.allclose(gradient, theirs[where, "q"], rtol=1e-3)
    assert changed  # some roles do disagree, or the test would show nothing


def test_two_micro_batches_leave_the_sum_of_their_gradients():
    model = language_model(strategy("shared_without_conflict")).double()

    def gradient(*seeds):
        model.zero_grad()
        for seed in seeds:
            tokens = torch.randint(4, 11, (2, 6), generator=torch.Generator().manual_seed(seed))
            F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        return model.decoder[0].attention.project.maps["q"].weight.grad.clone()

    torch.testing.assert_close(gradient(0, 1), gradient(0) + gradient(1))
