"""The whole path on generated text: what is learnt, what resumes, what is never done twice."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch

from ablations import learner, record, run
from ablations.config import OptimConfig, TrainerConfig
from ablations.course import Course
from ablations.device import Place
from ablations.model import build
from ablations.optim import learning_rate
from ablations.trainer import Trainer
from data.loader import Loader
from data.prepare import prepare
from models.loss import losses_of_logits
from tests.ablations.cells import config, do, timeless, weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("position", ["sinusoidal", "none"])
def test_reverse_is_learnt_in_seconds(cache: Path, tmp_path: Path, position: str):
    """Position and content must meet in cross-attention to reverse a string: a broken attention cannot.

    Nor can a sound one that is told no positions, to which the source is a bag: so the task does need attention, and
    the search does not copy from the reference.
    """
    learnt = do(
        cache,
        tmp_path,
        f"position={position}",
        "task.corpus.options.train=4000",
        "task.corpus.options.test=100",
        "model.d_model=64",
        "model.d_ff=128",
        "model.encoder_layers=2",
        "model.decoder_layers=2",
        "model.dropout=0",
        "trainer.steps=250",
        "trainer.batch_tokens=512",
        "trainer.log_every=50",
        "trainer.eval_every=250",
        "trainer.checkpoint_every=250",
        "optim.lr=3e-3",
        "optim.warmup=30",
    )["scores"]["test"]
    if position == "none":
        assert learnt["exact_match"] < 20 and learnt["token_perplexity"] > 1.5
    else:
        assert learnt["exact_match"] > 90 and learnt["token_perplexity"] < 1.1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_resume_continues_bit_for_bit(cache: Path, tmp_path: Path, monkeypatch, precision: str):
    """Killed between checkpoints and started again, a run ends with the weights, curve and scores it would have had."""
    options = (
        "trainer.steps=12",
        "trainer.checkpoint_every=4",
        "trainer.eval_every=6",
        "trainer.accumulate=2",
        "trainer.log_every=1",
        f"trainer.precision={precision}",
    )
    straight = do(cache, tmp_path / "straight", *options)

    step = learner.Alone.step
    taken = []

    def die_at_seventh(self, batches, rates):
        taken.append(rates)
        if len(taken) == 7:
            raise KeyboardInterrupt
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", die_at_seventh)
    with pytest.raises(KeyboardInterrupt):
        run.run(config(cache, tmp_path / "broken", *options), [])
    torch.rand(3)  # whatever happened to the global stream in between must not matter
    monkeypatch.setattr(learner.Alone, "step", lambda self, b, lr: taken.append(lr) or step(self, b, lr))
    resumed = do(cache, tmp_path / "broken", *options)

    assert len(taken) == 7 + 6, "it continued after step 6, not from the start"
    a, b = weights(tmp_path / "straight"), weights(tmp_path / "broken")
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert resumed["scores"] == straight["scores"]
    assert straight["training"]["epochs"] > 1, "the order of the next epoch is found again too"
    assert timeless(resumed["curve"]) == timeless(straight["curve"])
    [log] = (tmp_path / "broken").glob("work/*/metrics.jsonl")
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == list(range(1, 13))


@pytest.mark.parametrize("select", ["last", "best"])
def test_a_run_killed_while_scoring_is_scored_not_trained_again(cache: Path, tmp_path: Path, monkeypatch, select: str):
    options = ("trainer.steps=6", "trainer.eval_every=2", f"trainer.select={select}")
    straight = do(cache, tmp_path / "straight", *options)

    score = run.score
    monkeypatch.setattr(run, "score", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run.run(config(cache, tmp_path / "broken", *options), [])
    assert not list(tmp_path.glob("broken/records/*/*")), "no record of a run that is not at its end"

    monkeypatch.setattr(run, "score", score)
    monkeypatch.setattr(learner.Alone, "step", lambda *_: pytest.fail("trained again"))
    resumed = do(cache, tmp_path / "broken", *options)
    assert resumed["scores"] == straight["scores"]
    assert timeless(resumed["curve"]) == timeless(straight["curve"])
    [folder] = tmp_path.glob("broken/work/*")
    assert not [*folder.glob("checkpoint*"), *folder.glob("best*")], "what is over is cleared away"


def test_a_run_that_breaks_says_so_and_is_tried_again(cache: Path, tmp_path: Path, monkeypatch):
    """From its checkpoint; and the record of a finished run is not lost to an attempt to repeat it."""
    options = ("trainer.steps=4", "trainer.checkpoint_every=2", "trainer.eval_every=4")
    step = learner.Alone.step
    taken = []

    def break_at_fourth(self, batches, rates):
        taken.append(rates)
        if len(taken) == 4:
            raise RuntimeError("a kernel broke\nand more")
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", break_at_fourth)
    with pytest.raises(RuntimeError, match="a kernel broke"):
        do(cache, tmp_path, *options)
    [failed] = record.load_all(tmp_path)
    assert (failed["status"], failed["reason"]) == ("failed", "after step 3: RuntimeError: a kernel broke")
    assert failed["scores"] == {}
    finished = do(cache, tmp_path, *options)
    assert finished["status"] == "finished" and len(taken) == 4 + 2

    taken.clear()
    with pytest.raises(RuntimeError, match="a kernel broke"):
        do(cache, tmp_path, *options, "rerun=true")
    assert record.load_all(tmp_path) == [finished]


def test_validation_does_not_touch_training(cache: Path, tmp_path: Path):
    """Dropout draws from one stream; were validation to draw from it too, looking oftener would change the result."""
    often = do(cache, tmp_path / "often", "trainer.steps=6", "trainer.eval_every=1")
    seldom = do(cache, tmp_path / "seldom", "trainer.steps=6", "trainer.eval_every=6")
    assert often["scores"] == seldom["scores"]


def test_a_finished_run_is_not_trained_twice(cache: Path, tmp_path: Path, monkeypatch, capsys):
    first = do(cache, tmp_path)
    monkeypatch.setattr(Trainer, "fit", lambda *_: pytest.fail("trained again"))
    again = do(cache, tmp_path, "trainer.log_every=2", "tracking=none")
    assert again == first
    assert "not trained again" in capsys.readouterr().out
    run.run(config(cache, tmp_path, "study.name=other"), [])
    assert len(list(tmp_path.glob("records/*/*.json"))) == 2, "it counts for the other study as well"


def test_accumulation_equals_one_big_batch(cache: Path, tmp_path: Path):
    """Every target weighs the same, though micro-batches hold different numbers of them."""
    asked = config(cache, tmp_path, "model.dropout=0")
    prepared = prepare(asked.task, None, str(cache))
    batches = Loader(prepared, 64, asked.task.context, seed=0)
    micro = [next(it) for it in [iter(batches)] for _ in range(3)]
    assert len({batch.tokens for batch in micro}) > 1, "otherwise the test could not tell"

    model = build(asked, prepared)
    together = copy.deepcopy(model)
    course = Course(model, batches, lambda _: 0.0, OptimConfig(clip=None), asked.trainer,
                    Place(torch.device("cpu"), "fp32"), tmp_path / "work", "0", 0)  # fmt: skip
    alone = learner.Alone(course)
    gradients = {}
    alone.optimizer.step = lambda: gradients.update({n: p.grad.clone() for n, p in model.named_parameters()})
    [(losses, _, tokens)] = alone.step([micro], [1e-3])

    total = sum(losses_of_logits(together(**batch.inputs), batch.targets, 0.0)[0] for batch in micro)
    (total / tokens).backward()
    torch.testing.assert_close(losses, total.detach())
    for name, parameter in together.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, msg=name)


def test_divergence_is_recorded_not_hidden(cache: Path, tmp_path: Path):
    lost = do(cache, tmp_path, "trainer.steps=30", "optim.lr=1e18", "optim.clip=null", "optim.warmup=0")
    assert lost["status"] == "diverged" and "step" in lost["reason"]
    assert lost["scores"] == {}


def test_best_weights_are_those_with_the_lowest_validation_loss(cache: Path, tmp_path: Path):
    """A rate that wrecks the model after a good start: `best` must go back."""
    best = do(
        cache, tmp_path, "trainer.select=best", "trainer.steps=40", "trainer.eval_every=10", "trainer.log_every=10",
        "optim.schedule=constant", "optim.warmup=40", "optim.lr=1", "optim.clip=null",
    )  # fmt: skip
    seen = {line["step"]: line["valid_nll"] for line in best["curve"] if "valid_nll" in line}
    lowest = min(seen, key=seen.get)
    assert lowest < 40
    assert best["training"]["selected_step"] == lowest
    assert best["scores"]["valid"]["nll"] == pytest.approx(seen[lowest], rel=1e-4)


def test_schedules():
    cosine = OptimConfig(lr=1.0, warmup=10, schedule="cosine", final_lr=0.1)
    rates = [learning_rate(cosine, step, 100) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.1) and rates[54] == pytest.approx(0.55)
    root = OptimConfig(lr=1.0, warmup=16, schedule="inverse_sqrt")
    assert learning_rate(root, 64, 100) == pytest.approx(0.5) == learning_rate(root, 8, 100)
    constant = OptimConfig(lr=1.0, warmup=0, schedule="constant")
    assert {learning_rate(constant, step, 9) for step in range(1, 10)} == {1.0}


def test_clipping_bounds_the_gradient(cache: Path, tmp_path: Path):
    clipped = do(cache, tmp_path, "optim.clip=1e-3")
    assert all(math.isfinite(line["grad_norm"]) and line["grad_norm"] > 1e-3 for line in clipped["curve"])


def test_two_seeds_differ_and_one_repeats(cache: Path, tmp_path: Path):
    zero, again, one = (do(cache, tmp_path / n, f"seed={s}") for n, s in (("a", 0), ("b", 0), ("c", 1)))
    assert zero["scores"] == again["scores"] != one["scores"]


def test_trainer_config_is_what_the_record_says(cache: Path, tmp_path: Path):
    entry = do(cache, tmp_path)
    assert TrainerConfig(**entry["config"]["trainer"]).steps == entry["training"]["steps"] == 3
    assert entry["machine"]["threads"] == 1 and "host" not in entry["machine"]


def test_lines_that_come_late_are_the_same_lines(cache: Path, tmp_path: Path, monkeypatch):
    """On a GPU a line's numbers are read while the next begins, and a checkpoint waits for them. Pretended here."""
    options = ("trainer.steps=12", "trainer.log_every=2", "trainer.checkpoint_every=6", "trainer.eval_every=12")
    straight = do(cache, tmp_path / "straight", *options)
    log = Course.log

    def late(self, seconds, wait, validate=False):
        return log(self, seconds, self.state.step % 6 == 0, validate)

    monkeypatch.setattr(Course, "log", late)
    assert timeless(do(cache, tmp_path / "late", *options)["curve"]) == timeless(straight["curve"])
    [told] = tmp_path.glob("late/work/*/metrics.jsonl")
    assert [json.loads(line)["step"] for line in told.read_text().splitlines()] == [2, 4, 6, 8, 10, 12]


def test_divergence_that_is_seen_late_is_that_of_the_line(cache: Path, tmp_path: Path, monkeypatch):
    log = Course.log
    monkeypatch.setattr(Course, "log", lambda self, seconds, wait, validate=False: log(self, seconds, False, validate))
    options = ("trainer.steps=30", "trainer.log_every=1", "trainer.eval_every=30", "trainer.checkpoint_every=30")
    lost = do(cache, tmp_path, *options, "optim.lr=1e18", "optim.clip=null", "optim.warmup=0")
    assert lost["status"] == "diverged"
    assert lost["reason"].endswith(f"by step {lost['curve'][-1]['step']}")
    assert lost["training"]["steps"] == lost["curve"][-1]["step"] + 1


def test_activations_computed_again_change_nothing(cache: Path, tmp_path: Path):
    """Dropout included: its stream is put back for the second time."""
    plain, again = (do(cache, tmp_path / n, f"trainer.recompute={n}") for n in ("false", "true"))
    assert timeless(plain["curve"]) == timeless(again["curve"]) and plain["scores"] == again["scores"]
    assert plain["signature"] == again["signature"]
