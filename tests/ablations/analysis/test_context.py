"""Contextualisation and order: vectors and models for which the answer is known."""

import math

import pytest
import torch

from ablations.analysis import context
from data.batch import BOS, EOS, IGNORE, PAD, Batch
from models.config import PositionConfig
from models.init import initialise
from models.transformer import Classifier
from tests.models.make import (
    MAX_LENGTH,
    TINY,
    VOCABULARY,
    everywhere,
    language_model,
    pairs,
    shake,
    strategy,
    tokens,
    translator,
    vectors,
)

SPECIALS = (PAD, BOS, EOS)


def slowly(vectors_BLC, ids, counts):
    """Pair by pair, as the definition says."""
    at = counts.nonzero().tolist()
    cosine = torch.nn.functional.cosine_similarity
    pairs = {}
    for b, i in at:
        for c, j in at:
            if b != c:
                value = float(cosine(vectors_BLC[b, i].double(), vectors_BLC[c, j].double(), dim=0))
                pairs.setdefault("all", []).append(value)
                if ids[b, i] == ids[c, j]:
                    pairs.setdefault(int(ids[b, i]), []).append(value)
    mean = {key: sum(values) / len(values) for key, values in pairs.items()}
    random = mean.pop("all")
    return sum(mean.values()) / len(mean), random


def test_contextualisation_is_its_definition():
    x, ids = vectors(3, 6, 5), tokens(3, 6)
    counts = torch.arange(6) < torch.tensor([6, 4, 5])[:, None]
    found = context.contextualisation(x, ids, counts)
    self_similarity, random = slowly(x, ids, counts)
    assert found["self_similarity"] == pytest.approx(self_similarity)
    assert found["random"] == pytest.approx(random)
    assert found["corrected"] == pytest.approx(self_similarity - random)


def test_vectors_that_know_the_token_alone():
    ids = torch.tensor([[4, 5], [5, 4], [4, 6]])
    found = context.contextualisation(torch.eye(8)[ids], ids, torch.ones_like(ids, dtype=torch.bool))
    assert found["self_similarity"] == pytest.approx(1)
    assert found["random"] == pytest.approx(4 / 12)  # alike: 3 pairs of 4s, 1 pair of 5s, among 12 across rows


def test_a_layer_where_everything_is_the_same_is_not_mistaken_for_one():
    ids = tokens(3, 6)
    found = context.contextualisation(torch.ones(3, 6, 4), ids, torch.ones_like(ids, dtype=torch.bool))
    assert found["self_similarity"] == pytest.approx(1) and found["corrected"] == pytest.approx(0)


def test_a_token_is_compared_with_other_rows_only():
    found = context.contextualisation(vectors(1, 6, 5), torch.full((1, 6), 4), torch.ones(1, 6, dtype=torch.bool))
    assert math.isnan(found["self_similarity"])


def language_batch(rows=3, length=12):
    text = tokens(rows, length + 1)
    return Batch({"tokens": text[:, :-1]}, text[:, 1:])


def test_layers_begin_with_the_embeddings():
    """Without positions an embedding knows its token alone; a block mixes in what stands before."""
    model = language_model(strategy("separate"), position="none")
    with torch.no_grad():
        found = context.by_layer(model, language_batch(), SPECIALS)
    assert set(found) == {"decoder"} and len(found["decoder"]["corrected"]) == 3
    assert found["decoder"]["self_similarity"][0] == pytest.approx(1)
    assert found["decoder"]["self_similarity"][1] < 0.99
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model.decoder)


def sensitivity(model, batch):
    shake(model.double())
    with torch.no_grad():
        return context.order_sensitivity(model, batch, SPECIALS)


def test_one_layer_without_positions_cannot_tell_who_eats_whom():
    """Attention is a sum over a set; only from the second layer on does a causal mask give order away."""
    found = sensitivity(language_model(strategy("separate"), position="none", decoder_layers=1), language_batch())
    assert found["difference"] == pytest.approx(0, abs=1e-12)
    for changes in ({"position": "sinusoidal", "decoder_layers": 1}, {"position": "none", "decoder_layers": 2}):
        found = sensitivity(language_model(strategy("separate"), **changes), language_batch())
        assert abs(found["difference"]) > 1e-6, changes


def translation_batch():
    given = pairs()
    target = given["target"]
    return Batch({**given, "target": target[:, :-1]}, target[:, 1:])


def test_an_encoder_without_positions_cannot_either_however_deep():
    found = sensitivity(translator(strategy("shared"), position="none"), translation_batch())
    assert found["difference"] == pytest.approx(0, abs=1e-12)
    assert abs(sensitivity(translator(strategy("shared")), translation_batch())["difference"]) > 1e-6


def test_nor_can_a_classifier():
    text, mask = tokens(3, 6), torch.arange(6) < torch.tensor([6, 4, 3])[:, None]
    batch = Batch({"tokens": text.masked_fill(~mask, PAD), "mask": mask}, torch.tensor([0, 1, 1]))

    def model(kind):
        sites = everywhere(strategy("separate"))
        built = Classifier(TINY, sites, PositionConfig(kind=kind), VOCABULARY, MAX_LENGTH, 2)
        initialise(built, 0, TINY.init, TINY.encoder_layers)
        return built.eval()

    assert sensitivity(model("none"), batch)["difference"] == pytest.approx(0, abs=1e-12)
    assert abs(sensitivity(model("sinusoidal"), batch)["difference"]) > 1e-6


class Recorder(torch.nn.Module):
    """Notes what it is asked."""

    def __init__(self):
        super().__init__()
        self.decoder = torch.nn.ModuleList()
        self.asked = []

    def forward(self, tokens):
        self.asked.append(tokens)
        return torch.zeros(*tokens.shape, VOCABULARY)


def test_a_language_model_keeps_its_words_and_the_second_half():
    """Row by row the first half holds the same tokens, specials in place; padding is not part of a window."""
    text = torch.arange(4, 4 + 26).view(2, 13) % 7 + 4
    text[0, 2] = EOS
    inputs, targets = text[:, :-1].clone(), text[:, 1:].clone()
    inputs[1, 8:], targets[1, 8:] = PAD, IGNORE
    model = Recorder()
    context.order_sensitivity(model, Batch({"tokens": inputs}, targets), SPECIALS)
    ordered, shuffled = model.asked
    assert torch.equal(ordered, inputs)
    for row, half in ((0, 6), (1, 4)):
        assert torch.equal(shuffled[row, half:], inputs[row, half:])
        assert sorted(shuffled[row, :half].tolist()) == sorted(inputs[row, :half].tolist())
        assert not torch.equal(shuffled[row, :half], inputs[row, :half])
    assert shuffled[0, 2] == EOS


def test_only_targets_behind_the_second_half_are_scored():
    model, batch = language_model(strategy("separate")), language_batch()
    with torch.no_grad():
        found = context.order_sensitivity(model, batch, SPECIALS)
        logits = model(batch.inputs["tokens"])[:, 6:]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets[:, 6:].flatten())
    assert found["ordered"] == pytest.approx(float(expected))
