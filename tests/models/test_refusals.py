"""Strategies, sizes and positions that mean nothing are refused with the reason and a way out."""

from dataclasses import replace

import pytest

from models.config import ModelConfig, PositionConfig
from models.projections.config import ProjectionConfig
from models.projections.projection import Projection
from models.transformer import LanguageModel, Translator
from tests.models.make import PRESETS, STRATEGIES, TINY, everywhere, full_size, strategy

STRATEGY_REFUSALS = [
    ({"tie": "qk-v", "kv_heads": 2}, "one map between 4 query heads and 2 key/value heads: set kv_heads=4"),
    ({"tie": "qkv", "kv_heads": 1}, "set kv_heads=4 or tie=q-kv"),
    ({"tie": "qv-k", "kv_heads": 2}, "set kv_heads=4 or tie=q-k-v"),
    ({"kv_heads": 3}, "kv_heads=3 cannot serve 4 query heads evenly: choose a divisor of 4"),
    ({"kv_heads": 0}, "kv_heads=0"),
    ({"tie": "kq-v"}, "tie"),
    ({"map": "sparse"}, "map"),
    ({"storage": "per_layer"}, "storage"),
    ({"identity": "x"}, "identity='x' must name roles"),
    ({"identity": "kq"}, "in this order"),
    ({"identity": "qk"}, "set tie=qk-v"),
    ({"identity": "k", "tie": "q-kv"}, "set tie=q-k-v"),
    ({"identity": "v", "kv_heads": 2}, "set kv_heads=4"),
    ({"map": "low_rank", "storage": "per_role"}, "needs a rank"),
    ({"rank": 3}, "set map=low_rank or rank=null"),
    ({"map": "low_rank", "rank": 17, "storage": "per_role"}, "between 1 and 16"),
    ({"map": "low_rank", "rank": 3}, "set storage=per_role"),
    ({"map": "block_diagonal"}, "set storage=per_role"),
    ({"role_scale": True}, "shares none: choose another tie"),
    ({"role_rank": 2}, "shares none: choose another tie"),
    ({"tie": "qkv", "role_rank": 0}, "role_rank=0 must be between 1 and 16"),
    ({"heads": 3}, "heads=3 cannot share out d_model=16: choose a divisor of 16"),
    ({"heads": 0}, "heads=0"),
    ({"value_head_dim": 0}, "value_head_dim=0 must be at least 1"),
    ({"value_head_dim": 2, "tie": "q-kv"}, "choose a tie that ends in -v"),
    ({"value_head_dim": 2, "tie": "qv-k"}, "choose a tie that ends in -v"),
    ({"value_head_dim": 2, "identity": "v"}, "set heads * head_dim = 16"),
    ({"unsplit": True, "kv_heads": 1}, "set kv_heads=null"),
    ({"unsplit": True, "identity": "q"}, "for unsplit heads of width 4: set head_dim = 16"),
    ({"unsplit": True, "map": "block_diagonal", "storage": "per_role"}, "set unsplit=false"),
    ({"map": "one_slice"}, "set storage=per_role"),
    ({"symmetric_init": True, "tie": "qk-v"}, "symmetric_init=false"),
    ({"symmetric_init": True, "kv_heads": 2}, "symmetric_init=false"),
    ({"symmetric_init": True, "identity": "k"}, "symmetric_init=false"),
    ({"remove_conflict": True}, "remove_conflict=false"),
    ({"remove_conflict": True, "tie": "qkv", "identity": "qkv"}, "here is none"),
    ({"score": "cosine"}, "score='cosine' is unknown"),
    ({"score_width": 8}, "set it to null for scaled_dot"),
    ({"score_width": 0, "score": "additive"}, "score_width=0 must be at least 1"),
    ({"score_init": "identity"}, "set it to xavier for scaled_dot"),
    ({"score_init": "zero", "score": "pairwise"}, "score_init='zero' is unknown"),
    ({"key_norm": "l2", "score": "additive"}, "set key_norm=''"),
    ({"key_norm": "l3"}, "did you mean 'l2'"),
    ({"output": "none"}, "output='none' is unknown"),
    ({"output": "identity", "value_head_dim": 2}, "set heads * value width = 16, or output=learned"),
]


@pytest.mark.parametrize("changes, sentence", STRATEGY_REFUSALS, ids=[str(c) for c, _ in STRATEGY_REFUSALS])
def test_a_strategy_that_means_nothing_is_refused_before_it_is_built(changes, sentence):
    config = replace(ProjectionConfig(), **changes)
    for refuse in (
        lambda: config.check(TINY.d_model, TINY.heads, TINY.width_of_head),
        lambda: Projection(config, TINY.d_model, TINY.heads, TINY.width_of_head, bias=True),
    ):
        with pytest.raises(ValueError) as refused:
            refuse()
        assert sentence in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["identity", "identity_q", "identity_k", "identity_v"])
def test_the_identity_needs_heads_that_fill_the_model(name):
    with pytest.raises(ValueError, match=r"set heads \* head_dim = 16"):
        strategy(name).check(16, 4, 8)


def test_slices_need_a_width_that_can_be_cut():
    with pytest.raises(ValueError, match="cuts d_model=18 into 4 equal slices"):
        strategy("block_diagonal").check(18, 4, 4)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"d_model": 18}, "d_model=18 is not divisible by heads=4: choose d_model=16"),
        ({"heads": 0}, "heads=0 must be at least 1"),
        ({"decoder_layers": 0}, "decoder_layers=0"),
        ({"head_dim": 0}, "head_dim=0"),
        ({"norm": "middle"}, "norm"),
        ({"activation": "swish"}, "activation"),
        ({"init": "zeros"}, "init"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"attention_dropout": -0.1}, "attention_dropout=-0.1"),
    ],
)
@pytest.mark.parametrize("kind", [LanguageModel, Translator])
def test_sizes_that_make_no_model_are_refused_before_it_is_built(kind, changes, sentence):
    with pytest.raises(ValueError) as refused:
        kind(replace(TINY, **changes), everywhere(strategy("separate")), PositionConfig(), 11, 24)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "position, head_dim, sentence",
    [
        (PositionConfig(kind="rotary"), 5, "head_dim=5 is odd"),
        (PositionConfig(kind="rotatory"), 4, "kind"),
        (PositionConfig(base=1.0), 4, "base=1.0"),
        (PositionConfig(kind="learned", max_length=0), 4, "max_length=0"),
    ],
)
def test_positions_that_mean_nothing_are_refused(position, head_dim, sentence):
    with pytest.raises(ValueError) as refused:
        position.check(head_dim)
    assert sentence in str(refused.value)


def test_every_strategy_fits_the_sizes_it_is_meant_for():
    sizes = ModelConfig()
    for name in STRATEGIES:
        full_size(name).check(sizes.d_model, sizes.heads, sizes.width_of_head)
        assert full_size(name).name == name
    assert PRESETS
