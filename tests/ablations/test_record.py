import json
import math
import os
from dataclasses import fields

import pytest

from ablations import record as records
from ablations import secrets
from ablations.record.seal import unseal
from models.projections.config import ProjectionConfig
from tests.ablations.make import SITE, make_config, make_record, rewrite


def sign(**overrides):
    return records.signature(make_config(**overrides))


@pytest.mark.parametrize(
    "beside",
    [
        {"paths__results": "elsewhere"},
        {"tracking__name": "wandb"},
        {"study__name": "other"},
        {"rerun": True},
        {"projection": {"name": "whatever"}},
        {"model__name": "small"},
        {"trainer__device": "cuda"},
        {"trainer__threads": 2},
        {"trainer__log_every": 1},
        {"trainer__eval_every": 10},
        {"evaluation__samples": 0},
        {"task__corpus__files": {"train": "a.txt"}},
        {"task__corpus__hub": "somebody/corpus"},
    ],
)
def test_what_is_beside_the_experiment_leaves_the_signature_alone(beside):
    assert sign(**beside) == sign()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"strategy": "separate"},
        {"sites__decoder": {**SITE, "tie": "qkv", "storage": "per_head"}},
        {"model__d_ff": 65},
        {"model__bias": False},
        {"optim__lr": 2e-3},
        {"optim__clip": None},
        {"trainer__steps": 101},
        {"trainer__select": "best"},
        {"evaluation__stride": 32},
        {"task__name": "docs", "task__tokenizer__vocab_size": 600},
        {"task__corpus__options": {"agreement": False}},
        {"task__corpus__fractions": {"train": 0.5}},
    ],
)
def test_what_changes_the_outcome_changes_the_signature(change):
    assert sign(**change) != sign()


def test_sites_and_settings_that_the_kind_does_not_have_do_not_count():
    other = {**SITE, "name": "separate"}
    for change in ({"sites__cross": other}, {"model__encoder_layers": 6}, {"evaluation__beam": 1}):
        assert sign(task="docs", **change) == sign(task="docs")
        assert sign(task="flickr", **change) != sign(task="flickr")


def test_an_option_of_a_generator_counts_even_when_off():
    signatures = {sign(task__corpus__options=options) for options in ({}, {"agreement": False}, {"agreement": True})}
    assert len(signatures) == 3


def test_validation_counts_where_it_chooses_the_weights():
    assert sign(trainer__select="best", trainer__eval_every=10) != sign(trainer__select="best", trainer__eval_every=20)


def test_two_descriptions_of_one_thing_are_one_run():
    by_name = make_config(sites__decoder={**SITE, "name": "gqa", "kv_heads": 4}, model__head_dim=8)
    assert records.signature(by_name) == records.signature(make_config(strategy="separate"))


LATER = {"heads": None, "value_head_dim": None, "unsplit": False, "symmetric_init": False, "remove_conflict": False}
LATER |= {"score": "scaled_dot", "score_width": None, "score_init": "xavier", "key_norm": "", "no_self": False}
LATER |= {"output": "learned"}


def site(**changes):
    """The signature of a run whose decoder says so; the model has four heads of width 8."""
    return sign(sites__decoder={**SITE, **LATER, "tie": "qkv", **changes})


def test_records_older_than_a_field_of_a_site_keep_their_signatures():
    assert set(LATER) | set(SITE) == {f.name for f in fields(ProjectionConfig)}
    assert site() == sign(sites__decoder={**SITE, "tie": "qkv"}) == sign()


@pytest.mark.parametrize("same", [{"heads": 4}, {"value_head_dim": 8}, {"score_width": 8}, {"kv_heads": 4}])
def test_a_site_that_says_what_the_model_says_is_no_other_run(same):
    assert site(**same) == site()


@pytest.mark.parametrize(
    "other",
    [
        *({"heads": 1}, {"value_head_dim": 4}, {"unsplit": True}, {"symmetric_init": True}, {"remove_conflict": True}),
        *({"score": "dot"}, {"score_width": 4}, {"score_init": "identity"}, {"key_norm": "l2"}, {"no_self": True}),
        *({"output": "identity"}, {"heads": 1, "value_head_dim": 8}),
    ],
)
def test_every_field_of_a_site_makes_another_run(other):
    assert site(**other) != site()


def test_a_classifier_is_its_encoder():
    for change in ({"sites__decoder": {**SITE, "name": "other"}}, {"model__decoder_layers": 9}):
        assert sign(task="opinions", **change) == sign(task="opinions")
    assert sign(task="opinions", sites__encoder={**SITE, "tie": "qkv"}) != sign(
        task="opinions", sites__encoder={**SITE, "tie": "q-kv"}
    )


def test_a_new_setting_that_is_off_keeps_old_signatures():
    old, new = make_config(), make_config()
    new["sites"]["decoder"] |= {"key_norm": False, "slice": None, "note": ""}
    new["distillation"] = {"teacher": None}
    assert records.signature(new) == records.signature(old)


def test_signature_survives_the_way_through_a_file():
    config = make_config(optim__betas=(0.9, 0.999))
    assert records.signature(json.loads(json.dumps(config))) == records.signature(config)


def test_identity_does_not_touch_the_config():
    config = make_config()
    before = json.dumps(config)
    records.identity(config)
    assert json.dumps(config) == before


def test_label_is_readable_and_safe():
    assert records.label(make_config("shared", "docs", 3)) == "docs-shared-s3"
    assert records.label(make_config("shared", "flickr", 3)) == "flickr-shared-s3"
    mixed = make_config("shared", "flickr", sites__cross=SITE)
    assert records.label(mixed) == "flickr-shared-cross=separate-s0"
    nasty = records.label(make_config(task__name="../../etc/pass wd|<x>\n"))
    assert "/" not in nasty and not nasty.startswith(".") and nasty.isprintable()


def test_write_find_load(tmp_path):
    record = make_record()
    assert records.find(tmp_path, record["signature"], "demo") is None
    file = records.write(record, tmp_path)
    assert file == tmp_path / "records" / "demo" / f"docs-shared-s0-{record['signature']}.json"
    assert records.load(file) == records.find(tmp_path, record["signature"], "demo") == json.loads(json.dumps(record))
    assert list(file.parent.iterdir()) == [file]


def test_a_failed_run_deserves_another_try_and_its_record_is_replaced(tmp_path):
    failed = make_record(status="failed")
    records.write(failed, tmp_path)
    assert records.find(tmp_path, failed["signature"], "demo") is None
    for status in ("diverged", "finished"):
        records.write(make_record(status=status), tmp_path)
        assert records.find(tmp_path, failed["signature"], "demo")["status"] == status
    assert len(records.load_all(tmp_path)) == 1


def test_numbers_that_are_not_finite_become_null_and_are_named(tmp_path):
    record = make_record() | {"curve": [{"loss": 2.0}, {"loss": math.nan, "grad_norm": math.inf}]}
    file = records.write(record, tmp_path)
    loaded = json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert loaded["curve"] == [{"loss": 2.0}, {"loss": None, "grad_norm": None}]
    assert loaded["non_finite"] == {"curve.1.loss": "nan", "curve.1.grad_norm": "inf"}


@pytest.mark.parametrize("study", ["..", "a/b", "../up", ".hidden", "", "a b", "x" * 101, "demo\n", "/tmp"])
def test_a_study_that_cannot_be_a_folder_is_refused(tmp_path, study):
    with pytest.raises(ValueError, match="study.name"):
        records.write(make_record(study=study), tmp_path)
    assert not (tmp_path / "records").exists()


def test_a_write_that_fails_leaves_the_old_record_and_nothing_else(tmp_path, monkeypatch):
    file = records.write(make_record(score=30.0), tmp_path)
    before = file.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write(make_record(score=31.0), tmp_path)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_a_record_is_replaced_and_never_written_over(tmp_path):
    file = records.write(make_record(score=30.0), tmp_path)
    reader = tmp_path / "reader"  # whoever reads the old file while a new one is written
    os.link(file, reader)
    before = reader.read_bytes()
    records.write(make_record(score=31.0), tmp_path)
    assert reader.read_bytes() == before != file.read_bytes()


DAMAGES = [
    (lambda text: text[: len(text) // 2], "not a readable record"),
    (lambda text: "", "not a readable record"),
    (lambda text: "[1]", "not a (readable )?record"),
    (lambda text: text.replace('"schema": 1', '"schema": 99'), "schema 99"),
    (lambda text: text.replace('"status": "finished"', '"status": "done"'), "status 'done'"),
    (lambda text: text.replace('"d_ff": 64', '"d_ff": 65'), "its config gives"),
    (lambda text: text.replace('"sites"', '"places"'), "lacks sites"),
    (lambda text: text.replace('"scores"', '"marks"'), "lacks scores"),
    (lambda text: text.replace('"trainer"', '"trainee"'), "incomplete config"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_damaged_record_is_refused_by_name(tmp_path, damage, reason):
    """Whoever did it, also who made a checksum for it."""
    file = records.write(make_record(), tmp_path)
    whole = file.read_bytes()
    assert rewrite(file, damage) != unseal(whole)
    with pytest.raises(ValueError, match=reason) as refusal:
        records.load(file)
    assert str(file) in str(refusal.value)
    file.write_text(damage(whole.decode()))
    with pytest.raises(ValueError, match=f"{reason}|checksum") as refusal:
        records.load(file)
    assert str(file) in str(refusal.value)


def test_records_merge_by_copying(tmp_path):
    for seed in (0, 1):
        records.write(make_record(seed=seed), tmp_path)
    file = records.write(make_record(seed=0, study="second"), tmp_path)
    (file.parent / f"copy-{make_record()['signature']}.json").write_bytes(file.read_bytes())
    assert [(r["study"], r["seed"]) for r in records.load_all(tmp_path)] == [("demo", 0), ("demo", 1), ("second", 0)]
    assert [r["seed"] for r in records.load_all(tmp_path, "second")] == [0]
    assert records.studies(tmp_path) == ["demo", "second"]
    assert records.load_all(tmp_path, "nothing") == []


def test_two_different_records_of_one_run_are_named(tmp_path):
    one = records.write(make_record(score=30.0), tmp_path)
    elsewhere = records.write(make_record(score=31.0, study="second"), tmp_path / "elsewhere")
    two = tmp_path / "records" / "second" / elsewhere.name
    two.parent.mkdir()
    elsewhere.rename(two)
    with pytest.raises(ValueError, match="differ") as refusal:
        records.load_all(tmp_path)
    assert str(one) in str(refusal.value) and str(two) in str(refusal.value)


def test_a_run_of_two_studies_has_one_outcome(tmp_path):
    """Each study keeps its own question; training again replaces the outcome in both."""
    first = make_record(score=30.0, study="a")
    second = records.copy_for(first, {"name": "b", "question": "why", "baseline": "k_is_v"})
    records.write(first, tmp_path)
    records.write(second, tmp_path)
    assert len(records.load_all(tmp_path)) == 2
    assert records.find(tmp_path, first["signature"], "b")["config"]["study"]["question"] == "why"
    assert records.find(tmp_path, first["signature"], "c")["study"] == "a"

    records.write(make_record(score=40.0, study="a"), tmp_path)
    again = records.find(tmp_path, first["signature"], "b")
    assert again["scores"]["test"]["token_perplexity"] == 40.0
    assert again["config"]["study"] == {"name": "b", "question": "why", "baseline": "k_is_v"}


def test_a_copy_that_says_the_same_is_left_alone(tmp_path):
    """Its stamps say when it changed; one of another study that cannot be loaded keeps nobody from writing."""
    first = make_record(study="a")
    copy = records.write(records.copy_for(first, {**first["config"]["study"], "name": "b"}), tmp_path)
    os.utime(copy, ns=(1, 1))
    records.write(first, tmp_path)
    assert copy.stat().st_mtime_ns == 1
    broken = copy.read_bytes()[:-20]
    copy.write_bytes(broken)
    file = records.write(make_record(study="a", score=40.0), tmp_path)
    assert records.load(file)["scores"]["test"]["token_perplexity"] == 40.0 and copy.read_bytes() == broken
    with pytest.raises(ValueError, match="not a readable record"):
        records.briefs(tmp_path, "b")


def test_keys_and_passwords_are_looked_for_once_a_record(tmp_path, monkeypatch):
    real, calls = secrets.secrets, []
    monkeypatch.setattr(secrets, "secrets", lambda: calls.append(1) or real())
    records.write(make_record(), tmp_path)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"optim__name": "a"}, {"optim__name": "b"}),
        ({"task__source_lang": "en"}, {"task__source_lang": "fr"}),
        ({"task": "flickr", "evaluation__beam": 1}, {"task": "flickr", "evaluation": {"beam": 1, "length_penalty": 2}}),
        ({"position__kind": "none", "position__base": 1.0}, {"position__kind": "none", "position__base": 2.0}),
        ({"task__tokenizer": {"kind": "bytes", "vocab_size": 1}}, {"task__tokenizer": {"kind": "bytes"}}),
        ({"optim__schedule": "constant", "optim__final_lr": 0.1}, {"optim__schedule": "constant"}),
    ],
)
def test_settings_without_effect_do_not_make_another_run(one, two):
    assert records.signature(make_config(**one)) == records.signature(make_config(**two))
