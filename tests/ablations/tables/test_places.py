"""Sites, and settings along an axis."""

from ablations.tables import rows
from ablations.tables.axes import axis
from ablations.tables.sites import EVERYWHERE, NOWHERE, places, sites
from tests.ablations.make import SITE, make_record

K_IS_V = {**SITE, "name": "k_is_v", "tie": "q-kv"}


def at(*having, seed=0, score=30.0):
    return make_record("separate", "flickr", seed, score, **{f"sites__{site}": K_IS_V for site in having})


def test_each_set_of_sites_is_a_column():
    runs = [at(), at("cross"), at("encoder", "decoder"), at("encoder"), at("encoder", "decoder", "cross")]
    (one,) = sites(rows(runs), "separate")
    assert one.strategy == "k_is_v" and one.rows[NOWHERE].baseline
    assert places([one]) == [NOWHERE, "encoder", "cross", "encoder + decoder", EVERYWHERE]
    assert one.rows["encoder + decoder"].runs[0]["sites"] == {
        "encoder": "k_is_v",
        "decoder": "k_is_v",
        "cross": "separate",
    }


def test_one_set_of_sites_is_no_comparison_of_sites():
    assert sites(rows([at(), at("cross")]), "separate") == []
    other = make_record("shared", "flickr")
    assert sites(rows([at(), at("cross"), other]), "separate") == []
    assert sites(rows([make_record("separate"), make_record("k_is_v")]), "separate") == [], "it has one site"


def heads(*counts, strategies=("separate", "k_is_v")):
    return [make_record(name, model__heads=count) for name in strategies for count in counts]


def test_heads_by_strategy_though_other_sizes_follow():
    found = axis(rows(heads(1, 2, 4, 16)))
    assert found.field == "model.heads" and list(found.values) == ["1", "2", "4", "16"], "numbers by size"
    assert found.strategies == ("separate", "k_is_v")
    assert found.following == ("kv_heads", "model.head_dim")
    assert found.values["4"]["k_is_v"].runs[0]["config"]["model"]["heads"] == 4


def test_positions_lead_their_base():
    kinds = [("none", 1.0), ("sinusoidal", 1e4), ("rotary", 1e4), ("alibi", 1.0)]
    runs = [
        make_record(name, position__kind=kind, position__base=base)
        for name in ("separate", "shared")
        for kind, base in kinds
    ]
    found = axis(rows(runs))
    assert (found.field, found.following) == ("position.kind", ("position.base",))
    assert list(found.values) == ["alibi", "none", "rotary", "sinusoidal"]


def test_sizes_of_a_site_belong_to_the_strategy():
    few = {"sites__decoder": {**SITE, "kv_heads": 2}}
    runs = [make_record(optim__lr=lr, strategy="separate", **more) for lr in (0.1, 0.2) for more in ({}, few)]
    assert axis(rows(runs)).strategies == ("separate, kv_heads=2", "separate, kv_heads=4")


def test_two_fields_and_none_are_no_axis():
    assert axis(rows([make_record(name) for name in ("separate", "shared")])) is None
    crossed = [make_record(optim__lr=lr, optim__clip=clip) for lr in (0.1, 0.2) for clip in (1.0, 2.0)]
    assert axis(rows(crossed)) is None
