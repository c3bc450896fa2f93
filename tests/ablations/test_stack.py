"""Runs trained as one batched model, held to the same runs one at a time."""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ablations import checkpoint, run
from ablations.compose import CONF
from ablations.config import RunConfig, check
from ablations.course import Course
from ablations.device import Place
from ablations.learner import Alone
from ablations.model import build
from ablations.stack import replay
from ablations.stack.alike import most
from ablations.stack.batches import side_by_side
from ablations.stack.learner import Stack
from ablations.stack.worth import gain
from ablations.trainer import Trainer
from data.batch import IGNORE
from data.loader import Loader
from data.prepare import prepare
from data.prepared import Prepared
from tests.ablations.cells import REVERSE, config

pytestmark = pytest.mark.usefixtures("one_thread")

TEXT = ("task=text", "task.context=16", "task.tokenizer.kind=characters")
OPINIONS = ("task=toy_sentiment", "task.context=16", "task.corpus.options={train: 200, valid: 20, test: 20}")
DROPOUT = ("model.dropout=0.1", "model.attention_dropout=0.1")
ENOUGH = ("optim.clip=0.5", "optim.label_smoothing=0.1")
SMALL = ("model.d_model=16", "model.d_ff=32")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> tuple[str, ...]:
    """A language modelling task of a few sentences, read again and again."""
    file = tmp_path_factory.mktemp("text") / "book.txt"
    file.write_text("the cat sat on the mat and the dog lay by the door.\n" * 200)
    return (*TEXT, f"task.corpus.files.all={file}")


@functools.cache  # composing takes longer than some of these trainings
def composed(cache: Path, words: tuple[str, ...], task: tuple[str, ...]) -> tuple[RunConfig, Prepared]:
    asked = config(cache, cache / "nowhere", *words, task=task)
    return asked, prepare(asked.task, None, str(cache))


def course(
    cache: Path, folder: Path, *words: str, task: tuple[str, ...] = REVERSE, seed: int = 0, lr: float = 1e-3
) -> Course:
    asked, prepared = copy.deepcopy(composed(cache, words, task))
    asked.seed, asked.optim.lr = seed, lr
    loader = Loader(prepared, asked.trainer.batch_tokens, asked.task.context, asked.seed)
    place = Place(torch.device("cpu"), asked.trainer.precision)
    name = f"{asked.seed}-{asked.optim.lr}"
    return Course(
        build(asked, prepared),
        loader,
        lambda _: 1.0,
        asked.optim,
        asked.trainer,
        place,
        folder / name,
        name,
        asked.seed,
    )


def train(courses: Sequence[Course], stop_at: int | None = None) -> list[list[dict]]:
    """Each run's curve; `stop_at`: a step after which everybody is asked to stop and saves."""
    learner = Stack(courses) if len(courses) > 1 else Alone(courses[0])
    Trainer(courses, learner).fit([lambda _: None] * len(courses), lambda: courses[0].state.step == stop_at)
    return [one.state.curve for one in courses]


def numbers(curve: list[dict]) -> list[float]:
    return [line[key] for line in curve for key in ("loss", "grad_norm", "lr")]


@pytest.mark.parametrize(
    ("kind", "steps", "batches"), [("language_modeling", 200, 1), ("translation", 30, 2), ("classification", 30, 2)]
)
def test_every_step_is_that_of_one_run_at_a_time(cache, tmp_path, text, kind, steps, batches):
    """With dropout, clipping, smoothing and accumulation: losses and gradient norms of every step within rounding.

    Dropout's masks of a run are the same numbers: any other would show in the first digits.
    """
    task = {"translation": REVERSE, "language_modeling": text, "classification": OPINIONS}[kind]
    words = (*DROPOUT, *ENOUGH, *SMALL, f"trainer.steps={steps}", "trainer.log_every=1", "trainer.eval_every=200")
    words += (f"trainer.accumulate={batches}",)
    cells: tuple[dict[str, Any], ...] = ({"seed": 1}, {"lr": 3e-3})
    make = [course(cache, tmp_path / "stack", *words, task=task, **own) for own in cells]
    for own, stacked in zip(cells, train(make), strict=True):
        [alone] = train([course(cache, tmp_path / "alone", *words, task=task, **own)])
        assert numbers(stacked) == pytest.approx(numbers(alone), rel=2e-4)
        assert numbers(stacked[:20]) == pytest.approx(numbers(alone[:20]), rel=1e-5)
    assert len({one.state.curve[-1]["loss"] for one in make}) == 2


def test_one_that_diverges_leaves_and_the_others_learn_as_without_it(cache, tmp_path):
    words = (*DROPOUT, *SMALL, "trainer.steps=12", "trainer.log_every=3", "trainer.eval_every=12", "optim.warmup=0")
    words += ("optim.clip=null",)

    def runs(*own):
        return [course(cache, tmp_path / str(len(own)), *words, **one) for one in own]

    first, broken, last = runs({"seed": 0}, {"seed": 7, "lr": 1e18}, {"seed": 1})
    curves = train([first, broken, last])
    assert broken.state.diverged and broken.state.step < 12
    for stacked, alone in zip(curves[::2], train(runs({"seed": 0}, {"seed": 1})), strict=True):
        assert numbers(stacked) == pytest.approx(numbers(alone), rel=1e-6)


@pytest.mark.parametrize("begun", ["stack", "alone"])
@pytest.mark.parametrize("finished", ["stack", "alone"])
def test_who_stops_in_a_stack_may_go_on_alone_and_the_other_way_round(cache, tmp_path, begun, finished):
    """A checkpoint knows no company: weights, AdamW, data order, dropout and the line begun are the run's own."""
    words = (*DROPOUT, *SMALL, "trainer.steps=6", "trainer.log_every=2", "trainer.eval_every=6", "trainer.accumulate=2")

    def go(how, folder, stop_at=None):
        made = [course(cache, tmp_path / folder, *words, seed=seed) for seed in range(2)]
        for together in [made] if how == "stack" else [[one] for one in made]:
            train(together, stop_at)
        return made

    straight = go("alone", "straight")
    stopped = go(begun, "broken", stop_at=3)
    kept = checkpoint.load(stopped[0].folder / "checkpoint-3.pt", stopped[0].signature)
    assert kept is not None and kept["state"]["step"] == 3
    ended = go(finished, "broken")
    for one, other in zip(ended, straight, strict=True):
        assert one.state.step == 6 and len(one.state.curve) == len(other.state.curve)
        assert numbers(one.state.curve) == pytest.approx(numbers(other.state.curve), rel=1e-5)
        assert one.loader.epochs == other.loader.epochs


def test_padding_to_one_shape_adds_nothing(cache, tmp_path):
    """The loss of every run is that of its own batch, and no number is lost to a row of padding."""
    made = [course(cache, tmp_path, *SMALL, "model.dropout=0", seed=seed) for seed in range(3)]
    own = [one.loader.take(1) for one in made]
    assert len({batch.inputs["source"].shape for [batch] in own}) > 1, "otherwise the test could not tell"
    padded = side_by_side([batch for [batch] in own])
    assert padded.inputs["source_mask"].any(-1).all()
    assert int((padded.targets != IGNORE).sum()) == sum(batch.tokens for [batch] in own)
    together = Stack([copy.copy(one) for one in made]).step(own, [1e-3] * 3)
    for one, batches, (loss, norm, tokens) in zip(made, own, together, strict=True):
        [(own_loss, own_norm, own_tokens)] = Alone(one).step([batches], [1e-3])
        assert tokens == own_tokens
        torch.testing.assert_close((loss, norm), (own_loss, own_norm))


@pytest.mark.parametrize("strategy", sorted(file.stem for file in (CONF / "projection").glob("*.yaml")))
def test_every_strategy_is_stacked_or_says_that_it_cannot(cache, tmp_path, strategy):
    words = (*DROPOUT, "trainer.stack=2", f"projection={strategy}")
    if most(composed(cache, words, REVERSE)[0]) == 1:
        assert strategy == "shared_without_conflict"
        return
    made = [course(cache, tmp_path, *words, seed=seed) for seed in range(2)]
    own = [one.loader.take(1) for one in made]
    for one, batches, (loss, norm, _) in zip(made, own, Stack(made).step(own, [1e-3] * 2), strict=True):
        [(own_loss, own_norm, _)] = Alone(one).step([batches], [1e-3])
        torch.testing.assert_close((loss, norm), (own_loss, own_norm))


def test_measuring_whether_it_pays_leaves_no_trace(cache, tmp_path):
    words = (*DROPOUT, *SMALL, "trainer.steps=4", "trainer.log_every=1", "trainer.eval_every=4")
    made = [course(cache, tmp_path / "stack", *words, seed=seed) for seed in range(2)]
    before = torch.get_rng_state()
    assert gain(made) > 0
    assert torch.equal(torch.get_rng_state(), before)
    fresh = [course(cache, tmp_path / "fresh", *words, seed=seed) for seed in range(2)]
    assert list(map(numbers, train(made))) == list(map(numbers, train(fresh)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trainer.stack=0",), "stack=0 must be a whole number"),
        (("trainer.stack=many",), "or auto"),
        (("trainer.stack=8", "trainer.compile=true"), "do not go together"),
        (("trainer.stack=8", "cluster.processes=2"), "takes one process"),
    ],
)
def test_what_cannot_be_stacked_is_refused(cache, tmp_path, words, said):
    with pytest.raises(ValueError, match=said):
        check(config(cache, tmp_path, *words))


def test_what_is_known_by_heart_is_the_same_to_the_last_bit(monkeypatch, cache, tmp_path, text):
    """With dropout, and with several micro-batches to a step."""
    outcomes = []
    for often in (10**9, 2):
        monkeypatch.setattr(replay, "OFTEN", often)
        courses = [course(cache, tmp_path / str(often), *DROPOUT, *SMALL, task=text, seed=seed) for seed in (0, 1)]
        stack = Stack(courses)
        for _ in range(3):
            stack.step([one.loader.take(2) for one in courses], [1e-3] * 2)
        assert bool(stack.replay._lists) == (often == 2)
        outcomes.append(stack.rows.values())
    assert all(torch.equal(plain, replayed) for plain, replayed in zip(*outcomes, strict=True))


def test_one_that_has_diverged_is_not_stacked_again_with_those_that_go_on(cache, tmp_path):
    """It stands at the step of the others where that was saved, and has no steps left to make."""
    asked, _ = composed(cache, ("trainer.stack=3",), REVERSE)
    begun = {i: SimpleNamespace(config=asked, course=course(cache, tmp_path, seed=i)) for i in range(3)}
    begun[1].course.state.diverged = "loss nan"
    assert sorted(run._groups(begun)) == [[0, 2], [1]]
