"""A run that is observed: the same training, numbers at the right steps, an identity of its own."""

from pathlib import Path

import pytest
import torch

from ablations import learner, record, run
from ablations.claims.schema import known_rules
from tests.ablations.cells import config, do, timeless, weights

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = ("trainer.steps=6", "trainer.checkpoint_every=2", "trainer.log_every=1", "trainer.eval_every=6")
SHARED = "projection=shared"  # so that there are role gradients to see


@pytest.mark.parametrize("task", ["reverse", "toy_sentiment", "python_docs"])
def test_being_observed_changes_no_number(cache: Path, tmp_path: Path, task: str):
    changes = () if task == "reverse" else (f"task={task}", "task.context=32", *OWN[task])
    cell = {"task": changes} if changes else {}
    plain = do(cache, tmp_path / "plain", *STEPS, SHARED, **cell)
    seen = do(
        cache, tmp_path / "seen", *STEPS, SHARED, "analysis=course", "analysis.every=2", "analysis.rows=3", **cell
    )
    a, b = weights(tmp_path / "plain"), weights(tmp_path / "seen")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert seen["scores"] == plain["scores"] and timeless(seen["curve"]) == timeless(plain["curve"])
    assert "analyses" not in plain
    assert [entry["step"] for entry in seen["analyses"]] == [0, 2, 4, 6]
    for entry in seen["analyses"]:
        ends = entry["step"] in (0, 6)
        expected = {"step", "scores", "projections", "heads", "gradients"} | ({"context"} if ends else set())
        assert set(entry) == expected and all(entry[part] for part in expected - {"step"})


OWN = {
    "toy_sentiment": ("task.corpus.options={train: 200, valid: 20, test: 20}",),
    "python_docs": ("task.tokenizer.kind=bytes",),
}


def test_what_was_seen_before_a_stop_is_still_there_after_it(cache: Path, tmp_path: Path, monkeypatch):
    options = (*STEPS, SHARED, "analysis=course", "analysis.every=1", "analysis.rows=3")
    straight = do(cache, tmp_path / "straight", *options)
    step, taken = learner.Alone.step, []

    def die_at_fourth(self, batches, rates):
        taken.append(rates)
        if len(taken) == 4:
            raise KeyboardInterrupt
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", die_at_fourth)
    with pytest.raises(KeyboardInterrupt):
        run.run(config(cache, tmp_path / "broken", *options), [])
    monkeypatch.setattr(learner.Alone, "step", step)
    assert do(cache, tmp_path / "broken", *options)["analyses"] == straight["analyses"]


def test_a_run_without_analyses_does_not_answer_for_one_with_them(cache: Path, tmp_path: Path):
    def signed(*overrides):
        return record.signature(run.to_plain(config(cache, tmp_path, *overrides)))

    assert signed("analysis=ends") != signed()
    assert signed("analysis=ends", "analysis.rows=3") != signed("analysis=ends")
    # Nothing asked for is nothing, however it is said: records older than analyses keep their signatures.
    assert signed("analysis.every=5", "analysis.rows=3") == signed()


def test_maps_show_the_words_of_the_first_sentence(cache: Path, tmp_path: Path):
    seen = do(cache, tmp_path, *STEPS, "analysis=pictures", "analysis.rows=3")["analyses"][-1]["maps"]
    assert seen["tokens"]["decoder"][0] == "<bos>" and seen["tokens"]["encoder"][-1] == "<eos>"
    heads = seen["weights"]["decoder.0.cross"]
    assert [len(heads), len(heads[0]), len(heads[0][0])] == [
        4,
        *(len(seen["tokens"][s]) for s in ("decoder", "encoder")),
    ]
    assert all(abs(sum(row) - 1) < 0.02 for head in heads for row in head)  # three digits each


def test_a_part_that_does_not_exist_is_refused(cache: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="analysis: parts='score' is unknown: did you mean 'scores'"):
        run.run(config(cache, tmp_path, "analysis.parts=[score]"), [])
    assert not (tmp_path / "records").exists()


def test_the_rules_of_all_claims_are_recorded_as_they_stood(cache: Path, tmp_path: Path):
    assert do(cache, tmp_path)["claims"] == known_rules()
