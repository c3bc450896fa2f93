"""Arrays as text in a record: exact, the same every time, and refused when damaged."""

import json

import numpy as np
import pytest

from ablations import record
from ablations.units import pack, unpack
from tests.ablations.cells import do

ARRAYS = {
    "counts": np.arange(-30, 30, dtype=np.int16).reshape(10, 6),
    "large": np.array([[2**31 - 1, -(2**31), 0]], np.int32),
    "nats": np.array([0.0, -0.0, 1 / 3, np.inf, np.nan, 1e-45], np.float32),
    "right": np.array([0, 1, 255], np.uint8),
    "none": np.zeros((0, 6), np.int16),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_to_the_bit(name: str):
    array = ARRAYS[name]
    text = json.loads(json.dumps(pack(array)))
    found = unpack(text)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    found[:] = 0  # it is the caller's own


def test_equal_arrays_are_equal_texts():
    """However they lie in memory, and on a machine of the other byte order."""
    array = ARRAYS["counts"]
    assert pack(array) == pack(array.astype(">i2")) == pack(np.asfortranarray(array)) == pack(array.repeat(2, 0)[::2])
    assert pack(array) != pack(array.T.copy()) and pack(array) != pack(array.astype(np.int32))


def test_numbers_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="float64 cannot be packed: convert"):
        pack(np.zeros(3))


def test_no_damage_is_read():
    """Every character changed, taken away or added, and the text cut anywhere."""
    text = pack(np.random.default_rng(0).normal(size=20).astype(np.float32))
    damaged = [text[:i] + ("A" if text[i] != "A" else "B") + text[i + 1 :] for i in range(len(text))]
    damaged += [text[:i] for i in range(len(text))] + [text[:i] + text[i + 1 :] for i in range(len(text))]
    damaged += [text + "A", text + text, text + "\u00e9", text + '"']
    for wrong in damaged:
        with pytest.raises(ValueError, match="^packed units cannot be read .*: restore the record, or run again$"):
            unpack(wrong)


@pytest.mark.parametrize(
    ("task", "names", "dtypes"),
    [
        ("translation", ["bleu", "nll", "tokens"], ["int16", "float32", "int32"]),
        ("language_modeling", ["nll", "tokens"], ["float32", "int32"]),
        ("classification", ["right", "nll"], ["uint8", "float32"]),
    ],
)
def test_a_record_s_units_add_up_to_its_scores(cache, tmp_path, task, names, dtypes):
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 40)
    text = ("task=text", f"task.corpus.files.all={tmp_path / 'text.txt'}", "task.tokenizer.kind=characters")
    opinions = ("task=toy_sentiment", "task.corpus.options={train: 200, valid: 20, test: 20}")
    others = {"language_modeling": {"task": (*text, "task.context=32")}, "classification": {"task": opinions}}
    entry = do(cache, tmp_path / "r", "evaluation.stride=8" if "lang" in task else "seed=1", **others.get(task, {}))
    assert entry["units"].keys() == entry["scores"].keys() == {"valid", "test"}
    assert entry["kind"] == task
    for split, packed in entry["units"].items():
        units, scores = {name: unpack(text) for name, text in packed.items()}, entry["scores"][split]
        assert list(units) == names and [str(array.dtype) for array in units.values()] == dtypes
        count = units["tokens"].sum() if "tokens" in units else len(units["nll"])
        assert units["nll"].sum(dtype=np.float64) / count == pytest.approx(scores["nll"], rel=1e-6)
        if task == "classification":
            assert 100 * units["right"].mean() == pytest.approx(scores["accuracy"])
        else:
            assert count == scores["tokens"]
        if task == "translation":
            from sacrebleu.metrics.bleu import BLEU

            rows = units["bleu"].astype(int)
            totals = [int(np.maximum(0, rows[:, 0] - n).sum()) for n in range(4)]
            found = BLEU.compute_bleu(rows.sum(0)[2:].tolist(), totals, *rows.sum(0)[:2].tolist(), smooth_method="exp")
            assert found.score == pytest.approx(scores["bleu"], abs=1e-9)
    [brief] = record.briefs(tmp_path / "r", entry["study"])
    assert "units" not in brief
