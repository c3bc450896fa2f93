"""What is measured of a model that writes, against arithmetic on its strategy."""

import pytest
import torch

from ablations.compose import CONF, compose
from ablations.decoding import ROWS, TOKENS, decoding
from models.budget import Budget, budget
from models.cache import Cache
from models.config import ModelConfig, SitesConfig
from models.projections.config import ProjectionConfig
from models.transformer import LanguageModel, Translator
from tests.ablations.cells import do

pytestmark = pytest.mark.usefixtures("one_thread")

STRATEGIES = sorted(path.stem for path in (CONF / "projection").glob("*.yaml"))
MODEL = ModelConfig(d_model=32, heads=4, d_ff=32, encoder_layers=1, decoder_layers=2)


def made(kind: str, context: int, **sites: ProjectionConfig) -> tuple[LanguageModel | Translator, Budget]:
    position = compose([]).position
    model = (LanguageModel if kind == "language_modeling" else Translator)(
        MODEL, SitesConfig(**sites), position, 11, context
    )
    return model, budget(MODEL, SitesConfig(**sites), position, kind, 11, context, context)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_cache_holds_what_the_budget_says(name: str):
    """Four bytes a number, of every token and nothing else, for every strategy, and at either site alone."""
    strategy = compose([f"projection={name}"]).projection
    if strategy.rank is not None or strategy.role_rank is not None:  # chosen for wider models
        strategy.rank, strategy.role_rank = strategy.rank and 4, strategy.role_rank and 4
    model, costs = made("language_modeling", 6, decoder=strategy)
    assert decoding(model, 6)["cache_bytes_per_token"] == 4 * costs.cache_numbers_per_token
    for sites in ({"decoder": strategy}, {"cross": strategy}):
        model, costs = made("translation", 6, **sites)
        found = decoding(model, 6)
        assert found["cache_bytes_per_token"] == 4 * costs.cache_numbers_per_token
        assert found["cache_bytes_per_source_token"] == 4 * costs.cache_numbers_per_source_token
        assert found["cache_bytes_per_source_token"] > 0 and found["rows"] == ROWS and found["tokens"] == 6


@pytest.mark.parametrize("kind", ["language_modeling", "translation"])
@pytest.mark.parametrize(("context", "tokens"), [(1, 1), (TOKENS - 1, TOKENS - 1), (100, TOKENS)])
def test_as_many_tokens_are_written_as_there_is_room_for(kind: str, context: int, tokens: int):
    """No position is beyond a model's last one, no sequence ends early, and no random number is drawn."""
    model, costs = made(kind, context)
    model.train()
    before = torch.get_rng_state()
    found = decoding(model, context)
    assert torch.equal(before, torch.get_rng_state()) and all(p.grad is None for p in model.parameters())
    assert found["tokens"] == tokens and found["tokens_per_second"] > 0 and found["precision"] == "fp32"
    assert found["cache_bytes_per_token"] == 4 * costs.cache_numbers_per_token
    assert ("cache_bytes_per_source_token" in found) == (kind == "translation")


def test_room_to_grow_is_not_counted(monkeypatch):
    """Room for one token is doubled as it fills: in the end there is room for 8, in the warm-up for 4."""
    model, costs = made("language_modeling", 5)
    grown: list[Cache] = []
    fresh = model.new_cache

    def small():
        cache = fresh(room=1)
        grown.extend(cache.past)
        return cache

    monkeypatch.setattr(model, "new_cache", small)
    assert decoding(model, 5)["cache_bytes_per_token"] == 4 * costs.cache_numbers_per_token
    assert {cache.room for cache in grown} == {4, 8}


def test_a_record_says_how_fast_its_model_writes(cache, tmp_path):
    entry = do(cache, tmp_path)
    found = entry["decoding"]
    assert found["cache_bytes_per_token"] == 4 * entry["budget"]["cache_numbers_per_token"]
    assert found["cache_bytes_per_source_token"] == 4 * entry["budget"]["cache_numbers_per_source_token"]
    assert (found["rows"], found["tokens"]) == (ROWS, entry["config"]["task"]["context"])


def test_a_classifier_writes_nothing(cache, tmp_path):
    opinions = ("task=toy_sentiment", "task.corpus.options={train: 200, valid: 20, test: 20}")
    assert "decoding" not in do(cache, tmp_path, task=opinions)
