"""`projection` speaks for all sites; `projection@sites.<site>` for one."""

import pytest

from ablations.compose import compose
from ablations.config import check

SITES = ("encoder", "decoder", "cross")


def names(*overrides):
    run = compose(overrides)
    return tuple(getattr(run.sites, site).name for site in SITES)


def test_one_choice_sets_every_site():
    assert names("projection=shared") == ("shared",) * 3


def test_a_change_of_that_choice_reaches_every_site():
    run = compose(["projection=separate", "projection.kv_heads=2"])
    assert [getattr(run.sites, site).kv_heads for site in SITES] == [2, 2, 2]


@pytest.mark.parametrize("site", SITES)
def test_one_site_can_choose_for_itself(site):
    chosen = dict(zip(SITES, names("projection=shared", f"projection@sites.{site}=separate"), strict=True))
    assert chosen == {other: "separate" if other == site else "shared" for other in SITES}


def test_the_order_on_the_command_line_does_not_matter():
    assert names("projection@sites.cross=gqa", "projection=k_is_v") == ("k_is_v", "k_is_v", "gqa")
    assert names("projection=k_is_v", "projection@sites.cross=gqa") == ("k_is_v", "k_is_v", "gqa")


def test_a_site_of_its_own_can_be_changed_alone():
    run = compose(["projection@sites.cross=separate", "sites.cross.kv_heads=2"])
    assert [getattr(run.sites, site).kv_heads for site in SITES] == [None, None, 2]


def test_a_change_for_all_sites_leaves_a_site_of_its_own_alone():
    run = compose(["projection@sites.cross=separate", "projection.kv_heads=2"])
    assert [getattr(run.sites, site).kv_heads for site in SITES] == [2, 2, None]


@pytest.mark.parametrize(
    "override", ["sites.cross.kv_heads=4", "++sites.cross.kv_heads=4", "sites.cross={kv_heads: 4}"]
)
def test_a_site_that_follows_cannot_be_changed_alone(override):
    """It would write through the reference: all three sites would get 4."""
    with pytest.raises(ValueError, match="would change every site.*projection@sites.cross=separate"):
        compose([override])


def test_a_refusal_says_which_site():
    overrides = ["task=toy_translation", "projection@sites.cross=shared", "sites.cross.kv_heads=2"]
    with pytest.raises(ValueError, match="^sites.cross: cannot share"):
        check(compose(overrides))


@pytest.mark.parametrize(
    ("task", "site", "has"),
    [("python_docs", "cross", "decoder"), ("python_docs", "encoder", "decoder"), ("toy_sentiment", "cross", "encoder")],
)
def test_a_strategy_for_a_site_that_the_model_does_not_have_is_refused(task, site, has):
    """The run would be another one than its author thinks; what the site would be is not looked at."""
    overrides = [f"task={task}", f"projection@sites.{site}=shared", f"sites.{site}.kv_heads=2"]
    with pytest.raises(ValueError, match=f"^projection@sites.{site}=shared would change nothing: .* at {has} alone"):
        check(compose(overrides))
    check(compose([f"task={task}", f"projection@sites.{has}=shared"]))
