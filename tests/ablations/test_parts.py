"""A record that is cut into parts says what it says when it is loaded whole; whatever cannot be cut is loaded."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ablations import record as records
from ablations.record import index
from ablations.record.file import load_signed
from ablations.record.parts import Signer, cut, cut_config, validations, without_seed
from ablations.record.seal import seal, unseal
from tests.ablations.make import make_config, make_record, rewrite

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
    text = unseal(records.write(record, tmp_path).read_bytes())
    parts = cut(text)
    assert parts is not None and {key: json.loads(part) for key, part in parts.items()} == json.loads(text)
    sections = cut_config(parts["config"])
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


@pytest.mark.parametrize("which", [0, 1])
def test_a_seed_in_another_place_is_not_the_seed(tmp_path, which):
    """Without the lines of their seeds both configs read the same."""
    files = [records.write(make_record(seed=seed), tmp_path) for seed in (0, 1)]
    line = f'\n  "seed": {which},'
    rewrite(files[which], lambda text: text.replace(line, "").replace('\n  "task": {', '\n  "task": {' + line))
    with pytest.raises(ValueError, match="its config gives") as refusal:
        records.load(files[which])
    with pytest.raises(ValueError) as other:
        records.briefs(tmp_path, "demo")
    assert str(other.value) == str(refusal.value)


@pytest.mark.parametrize("seed", [0, 7, 10**9, -1])
def test_a_signer_signs_as_everybody_does(seed):
    signer = Signer(make_config(seed=3), {})
    assert signer.sign(str(seed)) == records.signature(make_config(seed=seed))
    assert {**signer.identity, "seed": seed} == records.identity(make_config(seed=seed))


def test_validations_are_those_of_the_curve_that_can_be_drawn():
    curve = [{"step": 1, "loss": 2.0}, {"step": 2, "valid_nll": 1.5, "loss": 1}, {"step": 3, "valid_nll": None}]
    assert validations(curve) == [[2, 1.5]]
    assert validations([{"valid_nll": 1.0}, ["valid_nll"], {"a": {"step": 1, "valid_nll": 1.0}}]) == []
    assert validations([]) == validations(None) == validations("valid_nll") == validations({"valid_nll": 1}) == []


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
    rewrite(file, change)
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
    text = unseal(file.read_bytes())
    assert rewrite(file, damage) != text
    if "more" in damage(text):
        assert records.briefs(tmp_path, "demo")[0]["scores"] == {}
        return
    with pytest.raises(ValueError, match=reason):
        records.briefs(tmp_path, "demo")


def test_parts_that_another_record_has_under_another_name_are_not_mistaken(tmp_path):
    """Of two failed runs one has no claims, the other no budget, and what they have reads the same."""
    for seed, (has, lacks) in enumerate((("budget", "claims"), ("claims", "budget"))):
        record = make_record(seed=seed, status="failed") | {has: {"parameters": 1}}
        record.pop(lacks, None)
        records.write(record, tmp_path)
    one, other = records.briefs(tmp_path, "demo")
    assert one["budget"] == other["claims"] == {"parameters": 1} and "claims" not in one and "budget" not in other


@pytest.mark.parametrize(
    "point",
    [
        {"step": 1, "extra": {"a": 1}, "valid_nll": 2.0},
        {"extra": {"step": 7, "valid_nll": 3.0}, "step": 1, "valid_nll": 2.0},
        {"step": 1, "note": '"valid_nll": 5, {\n   "step": 9', "valid_nll": 2.0},
    ],
)
@pytest.mark.parametrize("indent", [None, 1, 2])
def test_points_of_a_curve_may_hold_anything(tmp_path, point, indent):
    file = records.write(make_record(), tmp_path)
    text = json.dumps({"curve": [point] * 2}, indent=indent)[1:-1].strip()
    rewrite(file, lambda whole: whole.replace('"curve": []', text))
    assert records.briefs(tmp_path, "demo")[0]["validations"] == [[1, 2.0]] * 2


WORDS = ("step", "valid_nll", "decoding", "seed", "status", "config", "a", "ä b", 'a"b', "", "\\", "a\nb")
STRINGS = (
    *WORDS,
    '",\n "status": "x"',
    '{\n "a": {',
    "}\n}\n",
    "]\n ],",
    '\n  "seed": 1',
    '"valid_nll": 1.0',
    "\u2028\0",
)
SCALARS = (0, -1, 1.5, 1e-7, 10**20, True, False, None)
OFTEN = ("samples", "analyses", "units", "curve", "decoding", "claims", "machine", "reason", "zz", "b c", *WORDS)


def anything(chance: random.Random, depth: int = 3) -> Any:
    """A JSON value."""
    kind = chance.choice("dlsn" if depth else "sn")
    if kind == "d":
        return {chance.choice(WORDS): anything(chance, depth - 1) for _ in range(chance.randrange(4))}
    if kind == "l":
        return [anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    return chance.choice(STRINGS if kind == "s" else SCALARS)


def any_record(chance: random.Random) -> dict[str, Any]:
    """One that can be loaded, with anything where nothing is prescribed."""
    more = {"note": anything(chance)} if chance.random() < 0.3 else {}
    record = make_record(seed=chance.randrange(3), status=chance.choice(["finished", "diverged", "failed"]), **more)
    kept = {key: record[key] for key in ("config", "signature", "seed", "status")}
    for key in chance.sample(OFTEN, chance.randrange(4)):
        record[key] = anything(chance)
    if chance.random() < 0.5:
        points = [
            {"step": 1, "loss": 2.0},
            {"step": 2, "valid_nll": 1.5},
            {"extra": {"a": 1}, "valid_nll": 1, "step": 3},
        ]
        record["curve"] = [chance.choice([*points, anything(chance)]) for _ in range(chance.randrange(6))]
    return record | kept


def laid_out(value: Any, chance: random.Random, odd: float, shuffled: bool, depth: int = 1) -> str:
    """The value as JSON: indented as we do, but each dict and list in `odd` of cases as somebody else may."""
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=chance.random() < 0.5)
    between, begin, end, colon = ",", "\n" + depth * " ", "\n" + (depth - 1) * " ", ": "
    if chance.random() < odd:
        between = chance.choice([",", ", ", " ,"])
        begin, end = (chance.choice(["", " ", "\n", "\n ", "\n  ", "\n   ", "\r\n "]) for _ in range(2))
        colon = chance.choice([": ", ":", " : "])
    if isinstance(value, list):
        inside = [laid_out(item, chance, odd, shuffled, depth + 1) for item in value]
    else:
        items = list(value.items())
        if shuffled:
            chance.shuffle(items)
        inside = [json.dumps(key) + colon + laid_out(item, chance, odd, shuffled, depth + 1) for key, item in items]
    first, last = "[]" if isinstance(value, list) else "{}"
    return first + begin + (between + begin).join(inside) + end + last


def damaged(text: str, chance: random.Random) -> str:
    """Something taken out, put in twice or elsewhere, at places where it matters, too."""
    places = (
        [at for at, letter in enumerate(text) if letter in '{}[]",:\n'] if chance.random() < 0.7 else range(len(text))
    )
    at, length = chance.choice(places), chance.choice([1, 1, 1, 2, 9, 99])
    piece = text[at : at + length]
    less, other = text[:at] + text[at + length :], chance.choice(places)
    return chance.choice([less, text[:at] + piece + text[at:], less[:other] + piece + less[other:], text[:at]])


def brief_of(record: dict[str, Any]) -> str:
    """What the brief of a whole record is, in another way."""
    signed = records.identity(record["config"])
    signed.pop("seed", None)
    points = (
        [point for point in record["curve"] if isinstance(point, dict)] if type(record.get("curve")) is list else []
    )
    watched = [p for p in points if p.get("valid_nll") is not None and p.get("step") is not None]
    kept = {key: record[key] for key in (*index.COMMON, *index.OWN, "study") if key in record}
    return text_of(kept | {"signed": signed, "validations": [[point["step"], point["valid_nll"]] for point in watched]})


def text_of(brief: dict[str, Any]) -> str:
    return json.dumps(brief, sort_keys=True)


@pytest.mark.parametrize("harm", [False, True], ids=["whole", "damaged"])
@pytest.mark.parametrize(("odd", "shuffled"), [(0.0, False), (0.0, True), (0.03, True), (0.5, False)])
def test_briefs_are_those_of_whole_records_in_any_layout(tmp_path, monkeypatch, harm, odd, shuffled):
    """What is said, read and remembered; and what `load` refuses is refused."""
    chance = random.Random(f"{harm} {odd} {shuffled}")
    monkeypatch.setattr(index, "MOMENT", -(10**12))
    loaded: list[Path] = []
    monkeypatch.setattr(index, "load_signed", lambda file: loaded.append(file) or load_signed(file))
    refused, count = 0, 80
    for number in range(count):
        record = any_record(chance)
        text = laid_out(record, chance, odd, shuffled) + "\n"
        file = tmp_path / str(number) / "records" / "demo" / f"one-{record['signature']}.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(seal(damaged(text, chance) if harm else text).encode())
        try:
            whole = records.load(file)
        except ValueError as error:
            assert harm, error
            refused += 1
            with pytest.raises(ValueError) as refusal:
                records.briefs(tmp_path / str(number), "demo")
            assert str(refusal.value) == str(error)
            continue
        for _ in ("read", "remembered"):
            assert [text_of(brief) for brief in records.briefs(tmp_path / str(number), "demo")] == [
                brief_of({**whole, "study": "demo"})
            ], text
    ways = len(set(loaded)), count - len(set(loaded))
    assert refused > count / 4 if harm else ways[0] if odd else min(ways) > count / 10, "damage was done; each way gone"
