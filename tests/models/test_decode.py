"""Search and sampling, against slow and obvious twins that know no cache and no batch."""

import itertools

import pytest
import torch

from models import beam as beam_module
from models import greedy, tree
from models.beam import beam_search
from models.cache import DecoderCache
from models.decode import generate, translate
from models.largest import largest, largest_sums
from models.tree import Tree
from tests.models.make import (
    BOS,
    DEFINED,
    EOS,
    MAX_LENGTH,
    PAD,
    POSITIONS,
    STRATEGIES,
    VOCABULARY,
    language_model,
    pairs,
    shake,
    strategy,
    tokens,
    translator,
    vectors,
)

SPECIALS = {"bos": BOS, "eos": EOS}


def chatty(name="separate", position="sinusoidal", seed=1):
    """A translator whose translations differ in tokens and in length: a tied, timid one repeats itself to the end."""
    model = translator(strategy(name), position, seed, tied_embeddings=False)
    with torch.no_grad():
        model.output_map[0].mul_(2)
    return model


def add_to_logits(model, values):
    added = torch.zeros(VOCABULARY)
    added[list(values)] = torch.tensor([float(value) for value in values.values()])
    decode = model.decode
    model.decode = lambda *inputs: decode(*inputs) + added


def sources(n=8):
    """[n, 7] of lengths 1 to 7."""
    mask = torch.arange(7) < (torch.arange(n)[:, None] % 7 + 1)
    return tokens(n, 7, seed=5).masked_fill(~mask, PAD), mask


def log_p(model, source, tokens_so_far):
    """Log-probabilities of the next token, from scratch."""
    everything_real = torch.ones(1, len(source), dtype=torch.bool)
    with torch.no_grad():
        logits = model(source[None], everything_real, torch.tensor([[BOS, *tokens_so_far]]))
    values = logits[0, -1].log_softmax(-1).tolist()
    values[PAD] = values[BOS] = -float("inf")
    return values


def slow_beam(model, source, limit, beam, penalty):
    """One sentence, one list of (log-probability, tokens), everything computed anew in every step."""
    live, finished = [(0.0, [])], []
    for length in range(1, limit + 1):
        candidates = []
        for total, past in live:
            for token, value in enumerate(log_p(model, source, past)):
                if length < limit or token == EOS:
                    candidates.append((total + value, [*past, token]))
        candidates = sorted((c for c in candidates if c[0] > -float("inf")), reverse=True)[: 2 * beam]
        finished += [(total / length**penalty, past[:-1]) for total, past in candidates[:beam] if past[-1] == EOS]
        live = [c for c in candidates if c[1][-1] != EOS][:beam]
        if not live or (len(finished) >= beam and live[0][0] / length**penalty <= max(finished)[0]):
            break
    return max(finished, key=lambda f: f[0])[1]


def slow_greedy(model, source, limit):
    past = []
    while len(past) < limit - 1:
        values = log_p(model, source, past)
        token = values.index(max(values))
        if token == EOS:
            break
        past.append(token)
    return past


def real(source, mask):
    return [row[keep] for row, keep in zip(source, mask, strict=True)]


@pytest.mark.parametrize("seed, beam", [(0, 1), (1, 2), (2, 3), (0, 5), (1, 5), (2, 8)])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_search_finds_what_its_slow_twin_finds(seed, beam, penalty):
    model, (source, mask) = chatty(seed=seed), sources()
    limits = (1.5 * mask.sum(1) + 2).int()
    ours = translate(model, source, mask, **SPECIALS, max_length=limits, beam=beam, length_penalty=penalty)
    for row, sentence in enumerate(real(source, mask)):
        assert ours[row] == slow_beam(model, sentence, int(limits[row]), beam, penalty)


@pytest.mark.parametrize("name, position", DEFINED)
def test_search_finds_what_its_slow_twin_finds_for_every_strategy_and_position(name, position):
    model, (source, mask) = chatty(name, position), sources(3)
    ours = translate(model, source, mask, **SPECIALS, max_length=7, beam=3)
    assert ours == [slow_beam(model, sentence, 7, 3, 1.0) for sentence in real(source, mask)]


def test_the_examples_of_these_tests_differ_in_length_and_content():
    # Else a search that always answers the same, or never stops early, could pass.
    source, mask = sources()
    beam, greedy = (
        [t for s in range(3) for t in translate(chatty(seed=s), source, mask, **SPECIALS, max_length=14, beam=b)]
        for b in (5, 1)
    )
    lengths = [len(ids) for ids in beam]
    assert len(set(map(tuple, beam))) > len(beam) / 2  # of 24
    assert len(set(lengths)) > 5 and sum(length < 13 for length in lengths) > len(beam) / 2
    assert sum(a != b for a, b in zip(beam, greedy, strict=True)) > len(beam) / 4


def test_greedy_search_is_the_slow_greedy_search_and_beam_search_with_one_beam():
    for seed in range(5):
        model, (source, mask) = chatty(seed=seed), sources()
        limits = torch.full((len(source),), 9)
        ours = translate(model, source, mask, **SPECIALS, max_length=9, beam=1)
        assert ours == [slow_greedy(model, sentence, 9) for sentence in real(source, mask)]
        for penalty in (0.0, 1.0, 3.0):
            assert ours == beam_search(model, source, mask, limits, BOS, EOS, PAD, 1, penalty)


@pytest.mark.parametrize(
    "name, position", [(s, "sinusoidal") for s in STRATEGIES] + [("separate", p) for p in POSITIONS]
)
def test_forgetting_what_no_hypothesis_came_by_changes_nothing(name, position, monkeypatch):
    # Room for one step: every step first forgets, and only then grows.
    model, (source, mask) = chatty(name, position), sources(4)
    plain = translate(model, source, mask, **SPECIALS, max_length=9, beam=3)
    pruned, prune = [], Tree.prune
    monkeypatch.setattr(tree, "SPARSE", 1)  # however few they are
    monkeypatch.setattr(Tree, "prune", lambda ours: pruned.append(prune(ours)) or pruned[-1])
    monkeypatch.setattr(model, "new_cache", lambda: DecoderCache(len(model.decoder), room=3))
    assert translate(model, source, mask, **SPECIALS, max_length=9, beam=3) == plain
    assert len(pruned) > 1 and all(places is not None for places in pruned)


@pytest.mark.parametrize("beam", [1, 4])
def test_when_finished_sentences_leave_the_batch_changes_nothing(beam, monkeypatch):
    model, (source, mask) = chatty(), sources()
    found = []
    for spare in (0.0, 0.12, 1.0):  # at once, by and by, never
        monkeypatch.setattr(greedy, "SPARE", spare)
        monkeypatch.setattr(beam_module, "SPARE", spare)
        found.append(translate(model, source, mask, **SPECIALS, max_length=14, beam=beam))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("V", [1, 11, 95, 96, 97, 192, 1000])
@pytest.mark.parametrize("n", [1, 10])
def test_the_largest_by_blocks_are_the_largest(V, n):
    x_BKV, add_BK = vectors(3, 4, V), 5 * vectors(3, 4, seed=2)
    assert torch.equal(largest(x_BKV[:, 0]), x_BKV[:, 0].argmax(-1))
    n = min(n, 4 * V)
    values, places = (x_BKV + add_BK[:, :, None]).flatten(1).topk(n)
    ours, found = largest_sums(x_BKV, add_BK, n)
    assert torch.equal(ours, values) and torch.equal(found, places)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_wide_as_the_whole_tree_finds_the_best_of_all_translations(penalty):
    # Every translation of up to three tokens, scored one by one; nothing of the search is used.
    model, (source, mask) = chatty(seed=2), sources(2)
    ours = translate(model, source, mask, **SPECIALS, max_length=4, beam=(VOCABULARY - 2) ** 3, length_penalty=penalty)
    words = [token for token in range(VOCABULARY) if token not in (PAD, BOS, EOS)]
    for row, sentence in enumerate(real(source, mask)):
        everything = [list(ids) for n in range(4) for ids in itertools.product(words, repeat=n)]
        assert ours[row] == max(everything, key=lambda ids: score(model, sentence, ids, penalty))


def score(model, source, ids, penalty):
    target = torch.tensor([[BOS, *ids]])
    with torch.no_grad():
        log_probabilities = model(source[None], torch.ones(1, len(source), dtype=torch.bool), target)[0].log_softmax(-1)
    gold = torch.tensor([*ids, EOS])
    return log_probabilities.gather(1, gold[:, None]).sum().item() / len(gold) ** penalty


def test_a_wider_beam_finds_no_worse_translations_on_the_whole():
    totals = []
    model, (source, mask) = chatty(), sources()
    for beam in (1, 4, 16):
        found = translate(model, source, mask, **SPECIALS, max_length=8, beam=beam, length_penalty=0.0)
        totals.append(sum(score(model, s, ids, 0.0) for s, ids in zip(real(source, mask), found, strict=True)))
    assert totals == sorted(totals)


@pytest.mark.parametrize("beam", [1, 4])
def test_the_other_sentences_of_a_batch_change_nothing(beam):
    model, (source, mask) = chatty(), sources()
    together = translate(model, source, mask, **SPECIALS, max_length=12, beam=beam)
    for row, sentence in enumerate(real(source, mask)):
        alone = torch.ones(1, len(sentence), dtype=torch.bool)
        assert translate(model, sentence[None], alone, **SPECIALS, max_length=12, beam=beam) == [together[row]]


@pytest.mark.parametrize("beam", [1, 4])
def test_limits_are_kept_sentence_by_sentence_and_count_the_end(beam):
    model, (source, mask) = chatty(seed=3), sources()
    add_to_logits(model, {EOS: -20})
    limits = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8])
    found = translate(model, source, mask, **SPECIALS, max_length=limits, beam=beam)
    assert [len(ids) + 1 for ids in found] == limits.tolist()


@pytest.mark.parametrize("beam", [1, 4])
def test_a_model_with_learned_positions_can_use_all_of_them(beam):
    model = chatty(position="learned")
    add_to_logits(model, {EOS: -20})
    source, mask = sources()
    found = translate(model, source, mask, **SPECIALS, max_length=MAX_LENGTH, beam=beam)
    assert {len(ids) + 1 for ids in found} == {MAX_LENGTH}


@pytest.mark.parametrize("beam", [1, 5])
def test_padding_and_the_beginning_are_never_produced_however_probable(beam):
    model, (source, mask) = translator(strategy("separate"), tied_embeddings=False), sources()
    add_to_logits(model, {PAD: 50, BOS: 50})
    for ids in translate(model, source, mask, **SPECIALS, max_length=8, beam=beam):
        assert not {PAD, BOS, EOS} & set(ids)


@pytest.mark.parametrize("beam", [1, 5])
def test_search_runs_in_bfloat16(beam):
    model, (source, mask) = chatty(), sources()
    with torch.autocast("cpu", torch.bfloat16):
        found = translate(model, source, mask, **SPECIALS, max_length=8, beam=beam)
    exact = translate(model, source, mask, **SPECIALS, max_length=8, beam=beam)
    agree = sum(a == b for a, b in zip(found, exact, strict=True))
    assert agree >= len(found) / 2


def test_search_leaves_no_graph_behind_and_takes_no_random_number():
    model, batch = chatty(), pairs()
    state = torch.random.get_rng_state()
    translate(model, batch["source"], batch["source_mask"], **SPECIALS, max_length=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"beam": 0}, "beam is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"max_length": torch.tensor([3, 0, 4])}, "max_length is 0"),
        ({"length_penalty": -1.0}, "length_penalty is -1"),
    ],
)
def test_search_refuses_what_means_nothing(wrong, sentence):
    batch = pairs()
    with pytest.raises(ValueError, match=sentence):
        translate(chatty(), batch["source"], batch["source_mask"], **{**SPECIALS, "max_length": 5, **wrong})


def test_decoding_with_dropout_is_our_own_mistake():
    model, batch = chatty().train(), pairs()
    with pytest.raises(AssertionError):
        translate(model, batch["source"], batch["source_mask"], **SPECIALS, max_length=5)


@pytest.mark.parametrize("name, position", DEFINED)
def test_at_temperature_zero_the_text_is_the_argmax_of_full_passes(name, position):
    model = language_model(strategy(name), position)
    shake(model)
    text = prompt = tokens(2, 3)
    for _ in range(6):
        text = torch.cat([text, model(text)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(generate(model, prompt, length=6, temperature=0), text)
    assert torch.equal(generate(model, prompt, length=6, top_k=1), text)


@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.5, None), (2.0, 4)])
def test_tokens_are_drawn_with_the_stated_probabilities(temperature, top_k):
    model = language_model(strategy("separate"))
    shake(model)
    prompt, n = tokens(1, 4), 20_000
    p = (model(prompt)[0, -1] / temperature).softmax(-1).detach()
    if top_k:
        p = torch.where(p >= p.sort().values[-top_k], p, 0)
        p = p / p.sum()
    drawn = generate(
        model,
        prompt.expand(n, -1),
        length=1,
        temperature=temperature,
        top_k=top_k,
        generator=torch.Generator().manual_seed(0),
    )[:, -1]
    share = drawn.bincount(minlength=VOCABULARY) / n
    assert ((share - p).abs() <= 4 * (p * (1 - p) / n).sqrt()).all()  # four standard errors; none where p is 0


def test_a_generator_makes_the_draw_repeatable_and_leaves_the_global_one_alone():
    model, prompt = language_model(strategy("shared")), tokens(2, 3)
    state = torch.random.get_rng_state()
    one, again, other = (
        generate(model, prompt, length=9, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(one[:, :3], prompt) and one.shape == (2, 12)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    "wrong, sentence",
    [({"temperature": -1.0}, "temperature is -1"), ({"top_k": 0}, "top_k is 0"), ({"prompt": tokens(1, 0)}, "empty")],
)
def test_sampling_refuses_what_means_nothing(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate(language_model(strategy("separate")), **{"prompt": tokens(1, 2), "length": 2, **wrong})
