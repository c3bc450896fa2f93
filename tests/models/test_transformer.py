"""The two models whole: what may depend on what, and that every strategy and position behaves."""

import pytest
import torch
from torch.nn import functional as F

from models.config import SitesConfig
from tests.models.make import (
    CLASSES,
    DEFINED,
    MAX_LENGTH,
    PAD,
    POSITIONS,
    STRATEGIES,
    TINY,
    VOCABULARY,
    classifier,
    language_model,
    pairs,
    strategy,
    tokens,
    translator,
)


def influence(logits_of, embedding):
    """[L, L'], the size of the gradient of the logits at t with respect to the embedding at t'."""
    kept = []
    hook = embedding.register_forward_hook(lambda m, i, o: kept.append(o.detach().requires_grad_()) or kept[-1])
    logits = logits_of()
    hook.remove()
    rows = [torch.autograd.grad((x * x).sum(), kept[0], retain_graph=True)[0] for x in logits[0]]
    return torch.stack([row[0].abs().sum(-1) for row in rows])


@pytest.mark.parametrize("name, position", DEFINED)
def test_a_language_model_sees_all_of_the_past_and_nothing_of_the_future(name, position):
    model = language_model(strategy(name), position)
    depends = influence(lambda: model(tokens(1, 6)), model.embedding) > 0
    assert torch.equal(depends, torch.ones(6, 6).tril().bool())


@pytest.mark.parametrize("name, position", DEFINED)
def test_a_translator_sees_the_past_of_the_target_and_the_real_tokens_of_the_source(name, position):
    # Two embeddings, so that source and target can be told apart.
    model = translator(strategy(name), position, tied_embeddings=False)
    source_mask = torch.tensor([[True, True, True, True, False, False]])

    def logits():
        return model(tokens(1, 6), source_mask, tokens(1, 5, seed=2))

    assert torch.equal(influence(logits, model.embedding) > 0, torch.ones(5, 5).tril().bool())
    assert torch.equal(influence(logits, model.source_embedding) > 0, source_mask.expand(5, 6))


@pytest.mark.parametrize("name, position", DEFINED)
def test_padding_changes_no_logits(name, position):
    model, batch = translator(strategy(name), position), pairs()
    logits = model(**batch)
    for row, length in enumerate(batch["source_mask"].sum(1).tolist()):
        alone = model(batch["source"][[row], :length], batch["source_mask"][[row], :length], batch["target"][[row]])
        torch.testing.assert_close(logits[[row]], alone)
    padded_target = F.pad(batch["target"], (0, 3), value=PAD)
    torch.testing.assert_close(model(batch["source"], batch["source_mask"], padded_target)[:, :5], logits)


@pytest.mark.parametrize("name, position", DEFINED)
def test_every_parameter_learns(name, position):
    # One without a gradient would be dead weight in the budget, and stop distributed training.
    models = {language_model: {"tokens": tokens(2, 5)}, translator: pairs()}
    for build, inputs in models.items():
        model = build(strategy(name), position)
        model(**inputs).square().mean().backward()
        assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name, position", DEFINED)
def test_cached_decoding_gives_the_logits_of_the_full_pass(name, position):
    model, long = language_model(strategy(name), position), tokens(2, 7)
    pair_model, batch = translator(strategy(name), position), pairs()
    states = pair_model.encode(batch["source"], batch["source_mask"])
    full, pair_full = model(long), pair_model(**batch)
    for chunks in ([1] * 7, [3, 1, 2, 1], [7]):
        cache = model.new_cache()
        torch.testing.assert_close(torch.cat([model(part, cache) for part in long.split(chunks, 1)], dim=1), full)
        assert len(cache) == 7
    for chunks in ([1] * 5, [2, 3], [5]):
        cache = pair_model.new_cache()
        parts = [pair_model.decode(t, states, batch["source_mask"], cache) for t in batch["target"].split(chunks, 1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), pair_full)


@pytest.mark.parametrize("name", STRATEGIES)
def test_rows_of_a_cache_can_be_dropped_swapped_and_doubled(name):
    model, batch = translator(strategy(name), "rotary" if (name, "rotary") in DEFINED else "alibi"), pairs()
    states, mask, target = model.encode(batch["source"], batch["source_mask"]), batch["source_mask"], batch["target"]
    rows, cache = torch.tensor([2, 0, 2]), model.new_cache()
    model.decode(target[:, :3], states, mask, cache)
    cache.select(rows)
    logits = model.decode(target[rows, 3:], states[rows], mask[rows], cache)
    torch.testing.assert_close(logits, model(**batch)[rows, 3:])


@pytest.mark.parametrize("name, position", DEFINED)
def test_models_run_in_bfloat16_and_stay_near_float32(name, position):
    model, pair_model = language_model(strategy(name), position), translator(strategy(name), position)
    with torch.autocast("cpu", torch.bfloat16):
        low, pair_low = model(tokens(2, 6)), pair_model(**pairs())
    for ours, exact in ((low, model(tokens(2, 6))), (pair_low, pair_model(**pairs()))):
        assert not torch.equal(ours.float(), exact)  # autocast did something
        assert (ours.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("position", [p for p in POSITIONS if p != "none"])
def test_positions_tell_order(position):
    model, mask = translator(strategy("separate"), position), torch.ones(1, 4, dtype=torch.bool)
    source, target = tokens(1, 4), tokens(1, 3)
    assert not torch.allclose(model(source, mask, target), model(source.roll(1, 1), mask, target), atol=1e-3)


def test_distances_alone_do_not_tell_an_encoder_a_sentence_from_its_mirror_image():
    model, mask = translator(strategy("separate"), "alibi"), torch.ones(1, 4, dtype=torch.bool)
    source, target = tokens(1, 4), tokens(1, 3)
    torch.testing.assert_close(model(source, mask, target), model(source.flip(1), mask, target))


def test_without_positions_an_encoder_sees_a_bag_of_words():
    model, mask = translator(strategy("separate"), "none"), torch.ones(1, 4, dtype=torch.bool)
    source, target = tokens(1, 4), tokens(1, 3)
    torch.testing.assert_close(model(source, mask, target), model(source.flip(1), mask, target))


def test_rotary_scores_depend_on_distances_alone():
    # A block rotated as if its text began elsewhere computes the same: with rotary positions there is no first place.
    block = language_model(strategy("separate"), "rotary").decoder[0].attention
    q, k = torch.randn(2, 1, 4, 5, 4, generator=torch.Generator().manual_seed(0))
    near = block.rotate(q, 0) @ block.rotate(k, 0).mT
    torch.testing.assert_close(block.rotate(q, 90) @ block.rotate(k, 90).mT, near, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(block.rotate(q, 1) @ block.rotate(k, 0).mT, near, atol=1e-2)


def test_learned_positions_refuse_more_than_they_have():
    model = language_model(strategy("separate"), "learned")
    assert model(tokens(1, MAX_LENGTH)).shape == (1, MAX_LENGTH, VOCABULARY)
    with pytest.raises(ValueError, match=f"end at {MAX_LENGTH}, 25 are needed: set position.max_length=25"):
        model(tokens(1, MAX_LENGTH + 1))
    cache = model.new_cache()
    model(tokens(1, MAX_LENGTH), cache)
    with pytest.raises(ValueError, match="25 are needed"):
        model(tokens(1, 1), cache)


def test_dropout_works_in_training_and_is_off_in_evaluation():
    for sizes in ({"dropout": 0.5}, {"attention_dropout": 0.5}):
        model, batch = translator(strategy("separate"), **sizes), pairs()
        assert torch.equal(model(**batch), model(**batch))
        torch.testing.assert_close(model(**batch), translator(strategy("separate"))(**batch))
        model.train()
        assert not torch.allclose(model(**batch), model(**batch), atol=1e-2)


@pytest.mark.parametrize("name", STRATEGIES)
def test_post_norm_ends_every_block_normalised_and_needs_no_last_norm(name):
    model = translator(strategy(name), norm="post")
    outputs = []
    for block in [*model.encoder, *model.decoder]:
        block.register_forward_hook(lambda m, i, o: outputs.append(o))
    assert model(**pairs()).isfinite().all()
    assert len(outputs) == TINY.encoder_layers + TINY.decoder_layers
    for x in outputs:
        torch.testing.assert_close(x.mean(-1), torch.zeros_like(x[..., 0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.var(-1, correction=0), torch.ones_like(x[..., 0]), atol=1e-3, rtol=0)
    assert not any(key.split(".")[0] in ("norm", "encoder_norm") for key in model.state_dict())


def test_tied_embeddings_are_one_matrix_and_untied_ones_are_three():
    tied = translator(strategy("separate"))
    untied = translator(strategy("separate"), tied_embeddings=False)
    vocabulary = VOCABULARY, TINY.d_model
    assert [k for k, v in tied.state_dict().items() if v.shape == vocabulary] == ["embedding.weight"]
    names = {"embedding.weight", "source_embedding.weight", "output.weight"}
    assert {k for k, v in untied.state_dict().items() if v.shape == vocabulary} == names
    for model in (tied, untied):
        before = model(**pairs())
        with torch.no_grad():
            model.embedding.weight[4:] *= 2
        assert not torch.allclose(model(**pairs()), before)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("head_dim", [2, 6])
def test_heads_may_be_narrower_or_wider_than_their_share_of_the_model(name, head_dim):
    config = strategy(name)
    if config.heads is None and (config.identity or config.output == "identity"):
        with pytest.raises(ValueError, match="set heads"):
            translator(config, head_dim=head_dim)
        return
    model = translator(config, head_dim=head_dim)
    assert model(**pairs()).shape == (3, 5, VOCABULARY)
    attention, sizes = model.decoder[0].attention, config.sizes(TINY.d_model, TINY.heads, head_dim)
    assert sizes.head_dim == (head_dim if config.heads is None else TINY.d_model / config.heads)
    assert attention.project.matrix("q").shape == (TINY.d_model, sizes.heads * sizes.head_dim)
    assert attention.out.weight.shape == (TINY.d_model, sizes.heads * sizes.value_head_dim)


@pytest.mark.parametrize("changes", [{"activation": "relu"}, {"init": "gpt2"}, {"decoder_layers": 3}])
def test_the_other_options_make_other_models(changes):
    usual, other = translator(strategy("separate")), translator(strategy("separate"), **changes)
    assert other(**pairs()).isfinite().all()
    assert not torch.allclose(usual(**pairs()), other(**pairs()), atol=1e-3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_biases_there_is_none(name):
    assert not any("bias" in key for key in translator(strategy(name), bias=False).state_dict())


def test_sites_choose_for_themselves():
    model = translator(SitesConfig(strategy("shared"), strategy("k_is_v"), strategy("separate")))
    maps = {
        "encoder": model.encoder[0].attention.project.maps,
        "decoder": model.decoder[0].attention.project.maps,
        "cross": model.decoder[0].cross.project.maps,
    }
    matrices = {site: [key for key in m.state_dict() if key.endswith("weight")] for site, m in maps.items()}
    assert matrices == {
        "encoder": ["q.weight"],
        "decoder": ["q.weight", "k.weight"],
        "cross": ["q.weight", "k.weight", "v.weight"],
    }


@pytest.mark.parametrize(
    "name, position", [("separate", "sinusoidal"), ("shared_low_rank", "rotary"), ("k_is_v_gqa", "learned")]
)
def test_a_forward_pass_is_one_graph_to_the_compiler(name, position):
    # Nothing in it may ask Python about the value of a tensor.
    torch._dynamo.reset()
    for model, inputs in (
        (language_model(strategy(name), position), {"tokens": tokens(2, 6)}),
        (translator(strategy(name), position), pairs()),
    ):
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(**inputs), model(**inputs))


@pytest.mark.parametrize("name, position", DEFINED)
def test_a_classifier_sees_all_real_tokens_and_no_padding(name, position):
    model, mask = classifier(strategy(name), position), torch.tensor([[True] * 4 + [False] * 2])
    text = tokens(1, 6)
    assert model(text, mask).shape == (1, CLASSES)
    torch.testing.assert_close(model(text, mask), model(text[:, :4], mask[:, :4]))
    depends = influence(lambda: model(text, mask)[None], model.embedding) > 0
    assert torch.equal(depends, mask)


def test_an_additive_score_refuses_rotary_positions():
    with pytest.raises(ValueError, match="this strategy's score does not look at"):
        translator(strategy("additive"), "rotary")
    sites = SitesConfig(strategy("separate"), strategy("separate"), strategy("additive"))
    assert translator(sites, "rotary")(**pairs()).isfinite().all()  # positions of two sequences are not compared anyway
