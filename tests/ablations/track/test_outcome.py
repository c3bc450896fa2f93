"""What leaves the machine: the outcome of a run and what the run is, no place and no secret."""

import json

from ablations.track.outcome import LONGEST_TAG, observed, public, tags
from tests.ablations.make import make_record


def test_a_config_that_is_shown_names_no_place():
    """Wherever a path stands in a config, also where nobody expects one."""
    places = ["/data/corpora", "~/corpora", "../shared", "C:\\texts", "file:texts", "\\\\server\\texts"]
    record = make_record(task="flickr")
    config = record["config"]
    config["paths"] = {"corpora": places[0]}
    config["cluster"] = {"account": "team-42", "setup": ["export TOKEN=secret"]}
    config["task"]["corpus"]["files"] = {"train": "secret/train.txt"}
    config["task"]["corpus"]["hub"] = "owner/corpus"
    config["task"]["corpus"]["options"] = {"list": places, places[1]: 1, **{f"at{i}": p for i, p in enumerate(places)}}
    shown = public({**record, "code": {"commit": "abc"}})
    text = json.dumps(shown)
    assert not any(json.dumps(place) in text for place in places)
    assert "secret" not in text and "team-42" not in text
    assert shown["task"]["corpus"]["options"] == {"list": []}
    assert shown["task"]["corpus"]["hub"] == "owner/corpus" and shown["task"]["context"] == 64
    assert (shown["strategy"], shown["commit"]) == ("shared", "abc") and shown["sites"]["cross"]["name"] == "shared"
    assert config["paths"], "the record itself stays as it was"


def test_tags_fit_and_say_each_thing_once():
    record = make_record()
    assert tags(record) == ["shared", "decoder:shared"]
    long = "x" * 100
    cut = tags({**record, "strategy": long, "sites": {"encoder": long}})
    assert cut == ["x" * LONGEST_TAG, ("encoder:" + long)[:LONGEST_TAG]]


def test_what_is_observed_is_a_mean_over_heads_and_leaves_out_words():
    heads = {"kind": ["own", "next"], "roles": {"own": [0.5, None], "next": [0.25, 0.75]}, "specialised": 1.0}
    seen = {"step": 9, "heads": {"decoder.0.self": heads}, "maps": {"weights": {}}}
    expected = {"decoder.0.self/roles": 0.5, "decoder.0.self/specialised": 1.0}
    assert observed({"analyses": [{"step": 0, "maps": {}}, seen]}) == {9: expected}
