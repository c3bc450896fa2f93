"""One random generator per parameter name: runs of one seed begin with all the weights they have in common."""

import math

import pytest
import torch

from models.config import SitesConfig
from models.init import stream
from tests.models.make import STRATEGIES, TINY, everywhere, language_model, strategy, translator

C, H, D, F = TINY.d_model, TINY.heads, TINY.width_of_head, TINY.d_ff
SCHEMES = ["xavier", "gpt2"]


@pytest.mark.parametrize("init", SCHEMES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_of_one_seed_share_every_weight_of_the_same_name_and_shape(name, init):
    ours = translator(strategy(name), "learned", init=init).state_dict()
    separate = translator(strategy("separate"), "learned", init=init).state_dict()
    common = [key for key in ours if key in separate and ours[key].shape == separate[key].shape]
    unlike = [key for key in common if not torch.equal(ours[key], separate[key])]
    assert all(key.endswith("maps.k.weight") and strategy(name).symmetric_init for key in unlike)
    outside = [key for key in separate if ".project." not in key]
    missing = {key for key in outside if key not in common}  # embeddings, feed-forward layers, norms: none of them
    other_out = strategy(name).output == "identity" or strategy(name).value_head_dim
    assert all(".out." in key and other_out for key in missing)


@pytest.mark.parametrize("name, maps", {"q_is_k": "qv", "k_is_v": "qk", "q_is_v": "qk", "shared": "q"}.items())
def test_a_shared_map_starts_as_the_separate_map_of_its_first_role(name, maps):
    ours, separate = (language_model(strategy(n)).decoder[1].attention.project for n in (name, "separate"))
    for role in maps:
        assert torch.equal(ours.matrix(role), separate.matrix(role))
    assert len(list(ours.maps.state_dict())) == 2 * len(maps)  # weight and bias each, and nothing else


def test_a_site_of_another_strategy_leaves_every_other_site_as_it_was():
    one = translator(everywhere(strategy("separate"))).state_dict()
    other = translator(SitesConfig(strategy("separate"), strategy("separate"), strategy("shared"))).state_dict()
    assert {key for key in one if key not in other or not torch.equal(one[key], other[key])} == {
        f"decoder.{layer}.cross.project.maps.{role}.{kind}"
        for layer in range(2)
        for role in "kv"
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("init", SCHEMES)
def test_another_seed_draws_every_matrix_anew_and_no_two_matrices_are_alike(init):
    one, other = (translator(strategy("separate"), "learned", seed=seed, init=init).state_dict() for seed in (0, 1))
    matrices = [key for key in one if one[key].ndim > 1]
    assert all(not torch.equal(one[key], other[key]) for key in matrices)
    starts = [tuple(one[key].flatten()[:8].tolist()) for key in matrices]
    assert len(set(starts)) == len(matrices)
    for key in set(one) - set(matrices):  # norms and biases begin alike for every seed
        assert torch.equal(one[key], torch.full_like(one[key], float("norm" in key and key.endswith("weight"))))


def test_a_stream_is_the_same_number_on_every_machine():
    assert stream(0, "embedding.weight") == 8395375654029022469
    assert stream(1, "embedding.weight") != stream(0, "embedding.weight") != stream(0, "output.weight")


@pytest.mark.parametrize("storage", ["fused", "per_role", "per_head"])
@pytest.mark.parametrize("name", ["separate", "gqa", "k_is_v_mqa", "shared_scaled"])
def test_xavier_bounds_follow_from_each_maps_own_fan(name, storage):
    """Glorot & Bengio's bound over one stacked 3C x C matrix would be sqrt(1/2) of that over C x C."""
    model = language_model(strategy(name, storage=storage))
    matrices = {key: value for key, value in model.state_dict().items() if ".maps." in key and value.ndim == 2}
    assert matrices
    for key, value in matrices.items():
        bound = math.sqrt(6 / sum(value.shape))
        assert 0.9 * bound < value.abs().max() <= bound, key


def test_the_blocks_of_a_block_diagonal_map_have_their_own_fan():
    blocks = language_model(strategy("block_diagonal")).decoder[0].attention.project.maps["q"].weight_NDI
    assert 0.9 * math.sqrt(6 / (D + C // H)) < blocks.abs().max() <= math.sqrt(6 / (D + C // H))


@pytest.mark.parametrize("init", SCHEMES)
def test_the_variance_of_a_low_rank_map_is_that_of_a_dense_one(init):
    # Two draws multiplied: compared at a width where a standard deviation is known to a few per cent.
    sizes = {"d_model": 128, "heads": 4, "init": init}
    dense, low = (language_model(strategy(n), **sizes).decoder[0].attention.project for n in ("separate", "low_rank"))
    assert low.matrix("q").std().item() == pytest.approx(dense.matrix("q").std().item(), rel=0.2)


def test_additions_per_role_start_at_nothing():
    shared, added = (language_model(strategy(n)).decoder[0].attention.project for n in ("shared", "shared_low_rank"))
    for role in "qkv":
        assert torch.equal(added.matrix(role), shared.matrix(role))


def test_gpt2_shrinks_the_maps_that_end_a_branch_with_depth():
    sizes = {"d_model": 64, "d_ff": 256, "init": "gpt2", "decoder_layers": 8}
    block = language_model(strategy("separate"), **sizes).decoder[0]
    for weight in (block.attention.out.weight, block.feed_forward.down.weight):
        assert weight.std().item() == pytest.approx(0.02 / math.sqrt(2 * 8), rel=0.05)
    for weight in (block.attention.project.matrix("q"), block.feed_forward.up.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_embeddings_begin_with_norm_one_and_enter_with_norm_sqrt_of_the_width():
    model = language_model(strategy("separate"), "none", d_model=256, heads=4)
    assert model.embedding.weight.norm(dim=1).mean().item() == pytest.approx(1, rel=0.05)
    assert model.embedding(torch.arange(8)[None]).norm(dim=-1).mean().item() == pytest.approx(16, rel=0.05)


def test_the_global_random_state_is_neither_read_nor_moved_by_initial_weights():
    torch.manual_seed(0)
    one = language_model(strategy("separate")).state_dict()
    torch.manual_seed(99)
    other = language_model(strategy("separate")).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
