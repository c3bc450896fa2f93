"""Attention maps: one scale, tokens as names, whatever the number of heads."""

import pytest

from ablations import figures
from tests.ablations.figures.make import example


@pytest.fixture
def runs():
    return figures.by_setting([example(strategy, seed) for strategy in ("shared", "separate") for seed in (0, 1, 2)])


def test_maps_share_one_scale_and_name_their_tokens(runs):
    figure, missing = figures.attention_maps(runs, "decoder.0.self")
    panels = [panel for panel in figure.axes if panel.images]
    assert missing == [] and len(panels) == 4  # two settings, two heads
    assert {panel.images[0].get_clim() for panel in panels} == {(0, 1)}
    assert [panel.get_title() for panel in panels][::2] == ["separate, head 0", "shared, head 0"]
    assert panels[0].images[0].get_array()[0, 0] == 1.0  # of the last analysis, not the first
    assert panels[0].images[0].get_array()[2, 2] == 0.3
    labels = [text.get_text() for text in panels[0].get_xticklabels()]
    assert labels == ["a\u00b7$x_1$", "\\n", "<eos>"] == [text.get_text() for text in panels[0].get_yticklabels()]


def test_ids_stand_where_there_are_no_tokens(runs):
    for run in runs["separate"]:
        for seen in run["analyses"]:
            if "maps" in seen:
                del seen["maps"]["tokens"]
                seen["maps"]["ids"] = {"decoder": [1, 7, 2]}
    figure, _ = figures.attention_maps(runs, "decoder.0.self")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "7", "2"]


def test_at_a_cross_site_keys_are_source_tokens():
    run = example("separate", 0, "flickr")
    maps = {
        "weights": {"decoder.0.cross": [[[0.5, 0.5]]]},
        "tokens": {"decoder": ["<bos>"], "encoder": ["ein", "Haus"]},
    }
    run["analyses"] = [{"step": 0, "maps": maps}]
    figure, _ = figures.attention_maps({"separate": [run]}, "decoder.0.cross")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["ein", "Haus"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["<bos>"]


def test_settings_may_have_different_numbers_of_heads(runs):
    for seen in runs["separate"][0]["analyses"]:
        if "maps" in seen:
            seen["maps"]["weights"]["decoder.0.self"].pop()
    figure, _ = figures.attention_maps(runs, "decoder.0.self")
    assert len([panel for panel in figure.axes if panel.images]) == 3
