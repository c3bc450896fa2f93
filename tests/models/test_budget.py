"""Arithmetic on configurations, held against the models themselves."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ablations.compose import compose
from models import attention
from models.budget import budget
from models.config import PositionConfig, SitesConfig
from models.transformer import LanguageModel, Translator
from tests.models.make import (
    CLASSES,
    MAX_LENGTH,
    POSITIONS,
    PRESETS,
    STRATEGIES,
    TINY,
    VOCABULARY,
    classifier,
    everywhere,
    full_size,
    language_model,
    pairs,
    strategy,
    tokens,
    translator,
)

KINDS = {"language_modeling": LanguageModel, "translation": Translator}
BUILDERS = [
    (language_model, "language_modeling"),
    (translator, "translation"),
    (classifier, "classification"),
]
VARIATIONS = {
    "usual": {},
    "post-norm": {"norm": "post"},
    "no biases": {"bias": False},
    "untied": {"tied_embeddings": False},
    "uneven depth": {"encoder_layers": 3, "decoder_layers": 1},
}


def stated(sites, kind="language_modeling", position="sinusoidal", context=6, **sizes):
    sites = sites if isinstance(sites, SitesConfig) else everywhere(sites)
    model = replace(TINY, **sizes)
    return budget(model, sites, PositionConfig(kind=position), kind, VOCABULARY, MAX_LENGTH, context, CLASSES)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_of_every_preset_and_strategy(kind, preset):
    model = compose([f"model={preset}"]).model
    model = replace(model, encoder_layers=1, decoder_layers=2)  # the other layers are copies; depth is tested below
    for name in STRATEGIES:
        sites, position = everywhere(full_size(name)), PositionConfig(kind="learned")
        with torch.device("meta"):  # shapes without numbers
            built = KINDS[kind](model, sites, position, 1000, 64)
        assert budget(model, sites, position, kind, 1000, 64, 64).parameters == count(built), name


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_parameters_of_every_other_choice(variation, position):
    for name in ("separate", "shared_scaled", "k_is_v_gqa"):
        sizes = VARIATIONS[variation]
        model = language_model(strategy(name), position, **sizes)
        assert stated(strategy(name), position=position, **sizes).parameters == count(model)
        model = translator(strategy(name), position, **sizes)
        assert stated(strategy(name), "translation", position, **sizes).parameters == count(model)
        model = classifier(strategy(name), position, **sizes)
        assert stated(strategy(name), "classification", position, **sizes).parameters == count(model)


@pytest.mark.parametrize("name", STRATEGIES)
def test_projection_parameters_are_those_of_the_projections(name):
    for build, kind in BUILDERS:
        model, ours = build(strategy(name)), stated(strategy(name), kind)
        inside = {key: p.numel() for key, p in model.named_parameters() if ".project." in key or ".score." in key}
        assert ours.projection_parameters == sum(inside.values())
        sites = 6 if kind == "translation" else 2
        weights = sum(size for key, size in inside.items() if not key.endswith(".bias"))
        assert ours.projection_d2 == weights / sites / TINY.d_model**2


def test_projection_d2_is_the_figure_of_the_notes():
    d2 = {name: stated(strategy(name), "translation").projection_d2 for name in STRATEGIES}
    assert (d2["separate"], d2["k_is_v"], d2["shared"], d2["identity"]) == (3, 2, 1, 0)
    assert d2["shared_scaled"] == 1 + 3 / TINY.d_model
    mixed = SitesConfig(encoder=strategy("shared"), decoder=strategy("separate"), cross=strategy("k_is_v"))
    assert stated(mixed, "translation").projection_d2 == 2


@pytest.fixture
def products(monkeypatch):
    """Attention as products: torch's counter does not look into its fused kernel for CPUs."""
    monkeypatch.setattr(attention, "attend", attention.attend_written_out)


@pytest.mark.parametrize("sizes", [{}, {"bias": False, "tied_embeddings": False, "norm": "post"}, {"d_ff": 20}])
@pytest.mark.parametrize("name", STRATEGIES)
def test_flops_are_those_that_torch_counts(name, sizes, products):
    n = 6
    mask = torch.ones(2, n, dtype=torch.bool)
    inputs = {
        "language_modeling": (tokens(2, n),),
        "translation": (tokens(2, n), mask, tokens(2, n)),
        "classification": (tokens(2, n), mask),
    }
    for build, kind in BUILDERS:
        model = build(strategy(name), **sizes)
        with FlopCounterMode(display=False) as counter:
            model(*inputs[kind])
        last = 2 * 2 * TINY.d_model * CLASSES if kind == "classification" else 0  # once a sequence, not once a token
        flops = (counter.get_total_flops() - last) / (2 * n)
        assert stated(strategy(name), kind, context=n, **sizes).flops_per_token == flops


@pytest.mark.parametrize("name", STRATEGIES)
def test_training_costs_three_forward_passes(name, products):
    # The rule of thumb: a backward pass is two more products for each. The first layer's input is the small exception.
    model = language_model(strategy(name))
    with FlopCounterMode(display=False) as counter:
        model(tokens(2, 6)).square().mean().backward()
    assert counter.get_total_flops() == 3 * stated(strategy(name)).flops_per_token * 12


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_cache_holds_as_many_numbers_as_stated(name):
    fixed = full_size(name).identity or full_size(name).output == "identity"  # the identity knows no other width
    head_dim = None if fixed else 6
    model = language_model(strategy(name), head_dim=head_dim, decoder_layers=3)
    ours = stated(strategy(name), head_dim=head_dim, decoder_layers=3)
    model(tokens(2, 5), cache := model.new_cache())
    assert sum(past.numbers for past in cache.past) == 2 * 5 * ours.cache_numbers_per_token
    assert ours.cache_numbers_per_source_token == 0 == sum(source.numbers for source in cache.source)

    model = translator(strategy(name), head_dim=head_dim)
    ours = stated(strategy(name), "translation", head_dim=head_dim)
    source, mask, target = pairs().values()
    model.decode(target, model.encode(source, mask), mask, cache := model.new_cache())
    assert sum(past.numbers for past in cache.past) == 3 * 5 * ours.cache_numbers_per_token
    assert sum(past.numbers for past in cache.source) == 3 * 6 * ours.cache_numbers_per_source_token


def test_a_translator_remembers_target_and_source_by_the_sites_that_read_them():
    sites = SitesConfig(encoder=strategy("separate"), decoder=strategy("gqa"), cross=strategy("k_is_v_mqa"))
    ours = stated(sites, "translation", decoder_layers=3)
    assert ours.cache_numbers_per_token == 3 * 2 * 2 * TINY.width_of_head
    assert ours.cache_numbers_per_source_token == 3 * TINY.width_of_head


def test_sharing_keys_and_values_halves_the_cache():
    separate, shared, both = (stated(strategy(name)) for name in ("separate", "k_is_v", "k_is_v_mqa"))
    assert separate.cache_numbers_per_token == 2 * shared.cache_numbers_per_token
    assert separate.cache_numbers_per_token == 2 * TINY.heads * both.cache_numbers_per_token
