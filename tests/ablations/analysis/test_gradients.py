"""The roles' parts of a shared matrix's gradient sum to it; sizes, cosines and harmony by hand."""

import pytest
import torch

from ablations.analysis import gradients
from ablations.analysis.sites import nats
from data.batch import Batch
from tests.models.make import language_model, shake, strategy, tokens


def example(name, **sizes):
    model, text = language_model(strategy(name), **sizes).double(), tokens(3, 8)
    shake(model)
    return model, Batch({"tokens": text[:, :-1]}, text[:, 1:])


@pytest.mark.parametrize(("name", "roles"), [("shared", "qkv"), ("q_is_k", "qk"), ("k_is_v", "kv"), ("q_is_v", "qv")])
def test_the_parts_sum_to_the_gradient(name, roles):
    model, batch = example(name)
    found = gradients.parts(model, batch)
    assert set(found) == {"decoder.0.self", "decoder.1.self"}
    nats(model, batch).backward()
    for layer, block in enumerate(model.decoder):
        parts = found[f"decoder.{layer}.self"]
        assert "".join(parts) == roles
        maps = block.attention.project.maps
        names = list(maps.widths) if hasattr(maps, "widths") else list(maps)
        whole = {n: p for n, p in zip(names, maps_gradients(maps), strict=True)}[roles[0]]
        assert torch.allclose(sum(parts.values()), whole, rtol=1e-12, atol=1e-14)
        assert all(part.abs().sum() > 0 for part in parts.values())


def maps_gradients(maps):
    if hasattr(maps, "widths"):  # one tall matrix
        return maps.weight.grad.split(list(maps.widths.values()))
    return [maps[name].weight.grad for name in maps]


def test_where_nothing_is_shared_there_are_no_parts():
    assert gradients.parts(*example("separate")) == {}
    assert gradients.parts(*example("identity")) == {}


def test_sizes_and_cosines_by_hand():
    found = gradients.describe({"q": torch.tensor([[3.0, 0.0]]), "k": torch.tensor([[0.0, 4.0]])})
    assert found == {"size": {"q": 3, "k": 4}, "cosine": {"qk": 0}, "harmony": pytest.approx(5 / 7)}


def test_harmony_runs_from_cancelling_to_pulling_together():
    g = torch.tensor([1.0, -2.0])
    assert gradients.describe({"q": g, "v": 3 * g})["harmony"] == pytest.approx(1)
    against = gradients.describe({"q": g, "v": -g})
    assert against["harmony"] == pytest.approx(0) and against["cosine"]["qv"] == pytest.approx(-1)
