"""The memory of decoding: what it costs to hold, to add to and to give up."""

import pytest
import torch

from models.budget import budget
from models.cache import Cache, DecoderCache
from models.config import PositionConfig
from models.decode import generate
from models.tree import Tree
from tests.models.make import (
    STRATEGIES,
    TINY,
    VOCABULARY,
    everywhere,
    language_model,
    pairs,
    strategy,
    tokens,
    translator,
    vectors,
)


def stated(name, kind, length):
    return budget(TINY, everywhere(strategy(name)), PositionConfig(), kind, VOCABULARY, 24, length)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_text_takes_the_bytes_that_the_budget_states(name, monkeypatch):
    # Every token but the last is remembered: 3 of the prompt and 6 sampled ones, of two texts, in float32.
    model, caches, new_cache = language_model(strategy(name)), [], type(language_model(strategy(name))).new_cache
    monkeypatch.setattr(
        type(model), "new_cache", lambda *args, **room: caches.append(new_cache(*args, **room)) or caches[0]
    )
    generate(model, tokens(2, 3), length=7)
    assert caches[0].bytes == 4 * 2 * 9 * stated(name, "language_modeling", 9).cache_numbers_per_token


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_search_takes_the_bytes_that_the_budget_states(name):
    # Three sentences of six tokens with padding, remembered once whatever the beam; a root and 4 hypotheses, twice.
    model, batch = translator(strategy(name)), pairs()
    states = model.encode(batch["source"], batch["source_mask"])
    cache = model.new_cache(room=9)
    for K in (1, 4, 4):
        cache.branch(torch.zeros(3, K, dtype=torch.long))
        model.decode(tokens(3, K), states, batch["source_mask"], cache)
    ours = stated(name, "translation", 6)
    numbers = 3 * 9 * ours.cache_numbers_per_token + 3 * 6 * ours.cache_numbers_per_source_token
    assert cache.bytes == 4 * numbers == 4 * sum(part.numbers for part in cache.past + cache.source)


def test_adding_moves_nothing_while_there_is_room_and_seldom_in_all():
    cache, places, most = Cache(4), [], 0
    for length in range(1, 1001):
        (tensor,) = cache.append((torch.full((2, 1, 3), float(length)),))
        places.append(tensor.data_ptr())
        assert len(cache) == length and cache.numbers == length * 6
        most = max(most, cache.bytes / (4 * cache.numbers)) if length >= 4 else most
    assert sum(a != b for a, b in zip(places, places[1:], strict=False)) <= 8  # 4, 8, 16, ... 1024
    assert most <= 2
    assert torch.equal(tensor[:, :, 0], torch.arange(1.0, 1001).expand(2, -1))


def test_what_is_remembered_follows_rows_and_places():
    first, second = vectors(3, 5, 2), vectors(3, 1, 2, seed=2)
    cache = Cache(5)
    cache.append((first,))
    cache.select(torch.tensor([2, 0]))
    cache.keep(torch.tensor([[0, 3], [1, 4]]))
    (tensor,) = cache.append((second[:2],))
    kept = torch.stack([first[2, [0, 3]], first[0, [1, 4]]])
    assert torch.equal(tensor, torch.cat([kept, second[:2]], dim=1))


def test_a_hypothesis_sees_its_ancestors_and_itself():
    tree = Tree(torch.zeros(1, 1, dtype=torch.long))
    for parents in ([0, 0], [1, 0], [0, 0]):
        tree.descend(torch.tensor([parents]))
        tree.grow()
    # Cells: root 0; its children 1, 2; the child 3 of 2 and the child 4 of 1; the children 5, 6 of 3.
    seen = [[cell for cell in range(7) if tree.seen_BKS[0, k, cell]] for k in range(2)]
    assert seen == [[0, 2, 3, 5], [0, 2, 3, 6]]
    assert tree.positions_BS.tolist() == [[0, 1, 1, 2, 2, 3, 3]] and tree.depth == 3
    assert tree.prune() is None  # five of seven cells are still needed


def test_a_tree_forgets_what_no_hypothesis_came_by():
    tree = Tree(torch.zeros(2, 1, dtype=torch.long))
    tree.descend(torch.zeros(2, 3, dtype=torch.long))
    tree.grow()
    tree.descend(torch.tensor([[2, 2, 2], [0, 0, 0]]))  # of the root 0 and its children 1, 2, 3
    places_BS = tree.prune()
    assert places_BS is not None and places_BS.tolist() == [[0, 3], [0, 1]]
    assert tree.seen_BKS.shape == (2, 3, 2) and tree.seen_BKS.all() and tree.positions_BS.tolist() == [[0, 1]] * 2


def test_a_tree_has_no_past_of_another_kind():
    model, cache = language_model(strategy("separate")), DecoderCache(2)
    model(tokens(2, 3), cache)
    with pytest.raises(AssertionError):
        cache.branch(torch.zeros(2, 1, dtype=torch.long))
