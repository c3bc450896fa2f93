"""Observing: every model and strategy, numbers fit for JSON, and a training that does not notice it."""

import json
import random

import numpy as np
import pytest
import torch

from ablations.analysis import context, scores
from ablations.analysis.agreement import agreement, role_vectors
from ablations.analysis.probe import PARTS, inputs_of_sites, observe, plain
from ablations.analysis.sites import nats, sites
from data.batch import BOS, EOS, IGNORE, PAD, Batch
from models.config import PositionConfig
from models.init import initialise
from models.transformer import Classifier
from tests.models.make import (
    MAX_LENGTH,
    STRATEGIES,
    TINY,
    VOCABULARY,
    everywhere,
    language_model,
    strategy,
    tokens,
    translator,
)


def language(name="shared", **sizes):
    text = tokens(3, 9)
    return language_model(strategy(name), **sizes), Batch({"tokens": text[:, :-1]}, text[:, 1:])


def translation(name="shared"):
    source, target = tokens(3, 6), tokens(3, 5, seed=2)
    mask, real = (torch.arange(n) < torch.tensor(lengths)[:, None] for n, lengths in ((6, [6, 4, 3]), (5, [5, 2, 4])))
    target[:, 0] = BOS
    inputs = {"source": source.masked_fill(~mask, PAD), "source_mask": mask, "target": target.masked_fill(~real, PAD)}
    return translator(strategy(name)), Batch(inputs, tokens(3, 5, seed=3).masked_fill(~real, IGNORE))


def classification(name="shared"):
    model = Classifier(TINY, everywhere(strategy(name)), PositionConfig(kind="sinusoidal"), VOCABULARY, MAX_LENGTH, 2)
    initialise(model, 0, TINY.init, TINY.encoder_layers)
    text, mask = tokens(3, 6), torch.arange(6) < torch.tensor([6, 4, 3])[:, None]
    return model.eval(), Batch({"tokens": text.masked_fill(~mask, PAD), "mask": mask}, torch.tensor([0, 1, 1]))


NAMES = {
    language: ["decoder.0.self", "decoder.1.self"],
    translation: [f"encoder.{i}.self" for i in (0, 1)]
    + [f"decoder.{i}.{s}" for i in (0, 1) for s in ("self", "cross")],
    classification: ["encoder.0.self", "encoder.1.self"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_kind_of_model_is_seen_site_by_site(kind):
    found = observe(*kind(), PARTS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == list(PARTS)
    for part in ("scores", "projections", "heads", "gradients"):
        assert sorted(found[part]) == sorted(NAMES[kind]), part
    assert sorted(found["maps"]["weights"]) == sorted(NAMES[kind])
    stacks = {site.split(".")[0] for site in NAMES[kind]}
    assert set(found["context"]["layers"]) == set(found["maps"]["ids"]) == stacks


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_observed(name):
    model, batch = translation(name)
    found = observe(model, batch, PARTS)
    for site, attention in sites(model).items():
        assert len(found["scores"][site]["entropy"]) == attention.heads
        assert all(0 <= value <= 1 for value in found["scores"][site]["normalised_entropy"])


def test_what_is_not_asked_for_is_not_there():
    assert set(observe(*language(), ("projections",))) == {"projections"}
    assert observe(*language(), ()) == {}
    with pytest.raises(ValueError, match="no analysis 'spectra': choose from scores"):
        observe(*language(), ("spectra",))


def test_what_is_caught_is_what_attention_was_given():
    model, batch = translation()
    given = {}
    handles = [
        site.register_forward_hook(lambda _, __, y, name=name: given.__setitem__(name, y))
        for name, site in sites(model).items()
    ]
    caught = inputs_of_sites(model, batch)
    for handle in handles:
        handle.remove()
    assert set(caught) == set(given)
    for name, site in sites(model).items():
        args, kwargs = caught[name]
        assert torch.equal(site(*args, **kwargs), given[name])


def test_maps_are_the_weights_of_the_first_row():
    model, batch = translation()
    maps = observe(model, batch, ("maps",))["maps"]
    args, kwargs = inputs_of_sites(model, batch)["decoder.1.cross"]
    weights = model.decoder[1].cross.look(*args, **kwargs).weights_BHLS[0]
    assert torch.tensor(maps["weights"]["decoder.1.cross"]) == pytest.approx(weights.detach(), abs=5e-4)
    assert maps["ids"]["decoder"][0] == BOS
    assert maps["ids"]["encoder"] == batch.inputs["source"][0].tolist()


def test_maps_are_cut_to_what_a_picture_can_hold():
    text = tokens(1, 40)
    model = language_model(strategy("separate"), position="rotary")
    maps = observe(model, Batch({"tokens": text[:, :-1]}, text[:, 1:]), ("maps",))["maps"]
    weights = np.array(maps["weights"]["decoder.0.self"])
    assert weights.shape == (4, 24, 24) and len(maps["ids"]["decoder"]) == 24


@pytest.mark.parametrize("part", ["scores", "heads", "context"])
def test_padding_changes_nothing(part):
    """The same sentences with three more columns of padding on either side."""
    model, batch = translation()
    inputs = {name: torch.nn.functional.pad(tensor, (0, 3)) for name, tensor in batch.inputs.items()}
    wider = Batch(inputs, torch.nn.functional.pad(batch.targets, (0, 3), value=IGNORE))
    assert leaves(observe(model, wider, (part,))) == pytest.approx(leaves(observe(model, batch, (part,))), abs=1e-5)


def leaves(value):
    if isinstance(value, dict | list):
        return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
    return [-9.0 if value is None or isinstance(value, str) else value]


def states():
    numpy_state = np.random.get_state()
    return [torch.get_rng_state().tolist(), [str(part) for part in numpy_state], random.getstate()]


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_left_behind(training):
    model, batch = translation()
    model.train(training)
    model.encoder[0].eval()  # a mode of its own
    nats(model, batch).backward()
    modes = [module.training for module in model.modules()]
    grads = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    parameters, before = list(model.named_parameters()), states()
    observe(model, batch, PARTS)
    assert [module.training for module in model.modules()] == modes
    after = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(after) == len(grads) and all(map(torch.equal, after, grads))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert [(n, id(p)) for n, p in model.named_parameters()] == [(n, id(p)) for n, p in parameters]
    assert states() == before and torch.is_grad_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_model_is_put_back_where_an_analysis_fails(monkeypatch):
    model, batch = translation()
    model.train()
    before = torch.get_rng_state()

    def fail(*_):
        torch.rand(1)
        raise RuntimeError

    monkeypatch.setattr(context, "by_layer", fail)
    with pytest.raises(RuntimeError):
        observe(model, batch, ("context",))
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["shared", "separate"])
def test_a_training_does_not_notice(name):
    """Six steps with dropout, with and without an observation in between, bit for bit."""

    def train(watched):
        model, batch = language(name, dropout=0.3, attention_dropout=0.2)
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        torch.manual_seed(3)
        for step in range(6):
            if watched and step % 2:
                observe(model, batch, PARTS)
            nats(model, batch).backward()
            if watched and step == 4:
                observe(model, batch, PARTS)  # between the backward pass and the step
            optimizer.step()
            optimizer.zero_grad()
        return model.state_dict()

    seen, alone = train(True), train(False)
    assert all(torch.equal(seen[key], alone[key]) for key in alone)


def test_observation_is_in_float32_whatever_training_uses():
    model, batch = language()
    alone = observe(model, batch, PARTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert observe(model, batch, PARTS) == alone


def test_no_graph_is_built_but_for_gradients():
    model, batch = language()
    seen = []
    model.register_forward_hook(lambda _, __, logits: seen.append(logits.requires_grad))
    observe(model, batch, [part for part in PARTS if part != "gradients"])
    assert seen and not any(seen)


def test_dropout_is_off():
    model, batch = language(dropout=0.5, attention_dropout=0.5)
    assert observe(model.train(), batch, PARTS) == observe(model.eval(), batch, PARTS)


def test_of_a_broken_model_nothing_is_said():
    model, batch = language()
    with torch.no_grad():
        model.decoder[0].attention.out.weight[0, 0] = torch.nan
    assert observe(model, batch, PARTS) == {part: {} for part in PARTS}


def test_numbers_are_short():
    assert plain({"a": torch.tensor([1 / 3, torch.nan]), "b": [123456.0, "mixed", None, 2]}) == {
        "a": [0.33333, None],
        "b": [123460.0, "mixed", None, 2],
    }


def test_sharing_heats_attention_to_oneself_at_the_start():
    """The confound the design names: with Q = K a position begins by looking at itself."""
    own = {name: observe(*language(name), ("scores",))["scores"]["decoder.0.self"] for name in ("shared", "separate")}
    assert min(own["shared"]["own_position"]) > max(own["separate"]["own_position"])
    assert own["shared"]["symmetry"] == pytest.approx([1] * 4)


def test_heads_on_record_can_be_compared_between_runs():
    model, batch = translation()
    table = role_vectors(observe(model, batch, ("heads",))["heads"])
    own = observe(model, batch, ("heads",))["heads"]["encoder.0.self"]["roles"]["own"]
    assert [head[2] for head in table["encoder.0.self"]] == own
    assert agreement([table, table])["matched"] == pytest.approx(1)


def test_special_tokens_are_those_asked_for():
    model, batch = language()
    batch.inputs["tokens"][:, 0] = BOS
    there = observe(model, batch, ("heads",))["heads"]["decoder.0.self"]["roles"]["special"]
    assert min(there) > 0
    none = observe(model, batch, ("heads",), specials=(EOS,))["heads"]["decoder.0.self"]["roles"]["special"]
    assert none == [0.0] * 4


def test_means_are_taken_in_double_precision():
    """A million numbers about 1: float32 sums would be off in the fifth digit that we print."""
    x = torch.full((1, 1, 1_000_000), 0.1)
    assert scores.mean_per_head(x, torch.ones_like(x, dtype=torch.bool)).item() == pytest.approx(0.1, rel=1e-7)
