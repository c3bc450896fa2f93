"""A record that is cut into parts says what it says when it is loaded whole; whatever cannot be cut is loaded."""

import json
from pathlib import Path

import pytest

from ablations import record as records
from ablations.record import index
from ablations.record.parts import Signer, cut, cut_config, validations, without_seed
from tests.ablations.make import make_config, make_record

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "results" / "records").glob("*/*-s0-*.json"))


def fresh(folder):
    return index._Index(folder / "none", {})


def both(file, folder):
    """The brief of a file by either way, as text."""
    texts = []
    for way in ("_cut", "_load"):
        known = fresh(folder)
        common, seed, own, text = getattr(known, way)(file)
        assert json.loads(text) == own and "\n" not in text
        texts.append(json.dumps([known.dicts[common], seed, own], sort_keys=True))
    return texts


def test_every_committed_record_is_cut_and_says_the_same(tmp_path):
    assert len(COMMITTED) > 50
    for file in COMMITTED:
        one, other = both(file, tmp_path)
        assert one == other, file


def test_the_parts_of_a_text_are_those_of_the_record(tmp_path):
    record = make_record() | {"samples": [{"text": 'a ",\n "status": "x" }\n'}], "nested": {"status": {"status": [1]}}}
    text = records.write(record, tmp_path).read_text()
    assert {key: json.loads(part) for key, part in cut(text).items()} == json.loads(text)
    sections = cut_config(cut(text)["config"])
    assert {key: json.loads(part) for key, part in sections.items()} == json.loads(text)["config"]


@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_configs_that_differ_in_their_seed_are_alike_without_it(place):
    def text(seed, **more):
        config = {"a": {"seed": 5}, "b": 1, **more}
        items = list(config.items())
        items.insert({"first": 0, "last": 2, "middle": 1}[place], ("seed", seed))
        return json.dumps({"config": dict(items)}, indent=1).removeprefix('{\n "config": ').removesuffix("\n}")

    one, other = without_seed(text(3)), without_seed(text(14))
    assert one[0] == other[0] and (one[1], other[1]) == ("3", "14")
    assert without_seed(text(3, c=2))[0] != one[0]
    for odd in ("true", "1.5", '"1"', "null"):
        with pytest.raises(ValueError):
            without_seed(text(3).replace('"seed": 3', f'"seed": {odd}'))


@pytest.mark.parametrize("seed", [0, 7, 10**9, -1])
def test_a_signer_signs_as_everybody_does(seed):
    signer = Signer(make_config(seed=3), {})
    assert signer.sign(str(seed)) == records.signature(make_config(seed=seed))
    assert {**signer.identity, "seed": seed} == records.identity(make_config(seed=seed))


def test_validations_are_those_of_the_curve_and_numbers():
    curve = [{"step": 1, "loss": 2.0}, {"step": 2, "valid_nll": 1.5, "loss": 1}, {"step": 3, "valid_nll": None}]
    assert validations(curve) == validations(json.dumps(curve, indent=1)) == [[2, 1.5]]
    assert validations("[]") == validations([]) == validations(None) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: json.dumps(json.loads(text)),  # in one line
        lambda text: json.dumps(json.loads(text), indent=2) + "\n",
        lambda text: json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n",
        lambda text: text.replace('"seed": 0,\n', '"seed": 0 ,\n'),
        lambda text: text.rstrip(),
    ],
)
def test_another_layout_is_the_same_record(tmp_path, change):
    file = records.write(make_record(), tmp_path)
    before = records.briefs(tmp_path, "demo")
    file.write_text(change(file.read_text()))
    assert records.briefs(tmp_path, "demo") == before


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text.replace('"d_ff": 64', '"d_ff": 65'), "its config gives"),
        (lambda text: text.replace('\n  "seed": 0', '\n  "seed": 1'), "its config gives"),
        (lambda text: text.replace('"samples": []', '"samples": [\n'), "not a readable record"),
        (lambda text: text.replace('"status": "finished"', '"status": "done"'), "status 'done'"),
        (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99"),
        (lambda text: text.replace('"token_perplexity": 30.0', '"token_perplexity": 30.0.0'), "not a readable record"),
        (lambda text: text.replace('"scores": {', '"scores": {}, "more": {'), "lacks|edited|demo"),
    ],
)
def test_damage_is_refused_in_the_words_of_who_loads_it(tmp_path, damage, reason):
    file = records.write(make_record(), tmp_path)
    text = file.read_text()
    assert damage(text) != text
    file.write_text(damage(text))
    if "more" in damage(text):
        assert records.briefs(tmp_path, "demo")[0]["scores"] == {}
        return
    with pytest.raises(ValueError, match=reason):
        records.briefs(tmp_path, "demo")
