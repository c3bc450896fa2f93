"""`trainer.precision=auto`: the faster one, asked of the machine once."""

import json

import pytest
import torch

from ablations import precision
from ablations.precision import faster_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("ratio, answer", [(0.5, "fp32"), (1.1, "fp32"), (1.3, "bf16"), (8.0, "bf16")])
def test_bfloat16_must_be_worth_its_missing_digits(tmp_path, monkeypatch, ratio, answer):
    monkeypatch.setattr(precision, "_times_faster", lambda _: ratio)
    assert faster_precision(CPU, "a processor", tmp_path / "kept.json") == answer


def test_a_machine_is_asked_once(tmp_path, monkeypatch):
    """The second answer would be another one: a study must not change its precision half-way."""
    kept = tmp_path / "cache" / "kept.json"
    answers = iter([5.0, 0.5, 5.0])
    monkeypatch.setattr(precision, "_times_faster", lambda _: next(answers))
    assert [faster_precision(CPU, name, kept) for name in ("one", "one", "other", "one")] == ["bf16"] * 2 + [
        "fp32",
        "bf16",
    ]
    assert len(json.loads(kept.read_text())) == 2
    kept.write_text("{")
    assert faster_precision(CPU, "other", kept) == "bf16", "a damaged file is no answer"


def test_measuring_draws_no_random_numbers_and_finds_a_ratio(monkeypatch):
    before = torch.get_rng_state()
    assert 0.01 < precision._times_faster(CPU) < 100
    assert torch.equal(before, torch.get_rng_state())


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_times_faster", lambda _: 3.0)
    (tmp_path / "file").write_text("")
    assert faster_precision(CPU, "a processor", tmp_path / "file" / "kept.json") == "bf16"
