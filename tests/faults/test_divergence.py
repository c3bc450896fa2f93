"""Numbers that are none, and too little memory: on record with step and reason, and the other runs go on."""

import os
import resource
import signal
from functools import partial
from pathlib import Path

import pytest
import torch

from ablations import checkpoint, learner, record, writers
from ablations.sweep import status
from ablations.sweep.launch import launch
from ablations.sweep.plan import plan
from models import loss as losses
from tests.ablations.cells import asked
from tests.faults.commands import at_call, done, refusal
from tests.faults.processes import outcome

WORDS = ("trainer.steps=12", "trainer.log_every=5", "trainer.checkpoint_every=12", "trainer.eval_every=12")
POISONS = {"NaN loss": "nan", "infinite loss": "inf", "NaN gradient": "nan", "infinite gradient norm": "inf"}
OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of ..."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def poison(what: str) -> None:
    """Of the seventh step, in the middle of a line; and the process leaves if a checkpoint calls poison good."""
    if "loss" in what:
        usual = losses.Objective.forward
        at_call(7, losses.Objective, "forward", lambda: setattr(losses.Objective, "forward", spoilt))

        def spoilt(self, *given):
            losses.Objective.forward = usual
            number = float(POISONS[what])
            return tuple(value + number for value in usual(self, *given))  # an infinite sum has finite gradients
    else:
        step, taken = learner.Alone.step, []

        def spoil(self, batches, rates):
            taken.append(rates)
            first = next(self.model.parameters())
            number = float("nan") if "NaN" in what else 3e38  # finite, and the square is not
            hook = first.register_hook(lambda gradient: torch.full_like(gradient, number))
            if len(taken) != 7:
                hook.remove()
            progressed = step(self, batches, rates)
            hook.remove()
            return progressed

        learner.Alone.step = spoil
    save = checkpoint.save_step

    def watch(folder: Path, step: int, state: dict) -> None:
        good = all(bool(torch.isfinite(weight).all()) for weight in state["model"].values())
        if not good and state["state"]["diverged"] is None and state["logged"]["tokens"] == 0:
            os._exit(78)
        save(folder, step, state)

    checkpoint.save_step = watch


def poison_and_tell(what: str) -> None:
    poison(what)
    at_call(8, learner.Alone, "step", partial(os.kill, os.getpid(), signal.SIGUSR1))


@pytest.mark.fault("loss or gradient not finite")
@pytest.mark.parametrize("what", POISONS)
def test_poison_between_two_lines(cache, tmp_path, what):
    """Also where the process is told to leave before anybody has looked, and whoever goes on meets no poison."""
    said, results = tmp_path / "said", tmp_path / "straight"
    words = asked(cache, results, *WORDS)
    assert done(words, said, partial(poison, what)) == 0, said.read_text()
    [found] = record.load_all(results)
    assert found["status"] == "diverged" and found["reason"].endswith(" by step 10")
    assert POISONS[what] in found["reason"]
    assert found["scores"] == {} and found["training"]["steps"] == 10
    assert not list(results.glob("work/*/*.pt")), "nobody takes its weights for good ones"
    assert f"diverged: {found['reason']}" in said.read_text()

    words = asked(cache, tmp_path / "told", *WORDS)
    assert done(words, said, partial(poison_and_tell, what)) == 128 + signal.SIGUSR1
    assert done(words, said) == 0
    [again] = record.load_all(tmp_path / "told")
    assert (again["status"], again["reason"]) == (found["status"], found["reason"])


def sweep(cache: Path, results: Path, *options: str) -> tuple[dict[str, int], str]:
    """How many cells ended how, as `status.py` tells, and the table."""
    cells = plan(asked(cache, results, *WORDS, "study.name=night", *options))
    try:
        launch(cells)
    finally:
        study = status.Study(results, "night", {cell.signature: cell.plain for cell in cells})
        states = [state.state for state in study.look()]
        writers.write(results, "night")
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    return counts, (results / "tables" / "night.md").read_text()


@pytest.mark.fault("weights that explode")
@pytest.mark.parametrize("stack", [1, 3])
def test_a_sweep_goes_on_past_a_rate_that_is_too_high(cache, tmp_path, stack):
    torch.set_num_threads(1)
    options = ("optim.lr=1e-3,1e6,1e38", "optim.clip=null", "optim.warmup=0", f"trainer.stack={stack}")
    counts, table = sweep(cache, tmp_path, *options)
    assert counts == {"diverged": 2, "finished": 1}
    lost = [entry for entry in record.load_all(tmp_path) if entry["status"] == "diverged"]
    assert {entry["config"]["optim"]["lr"] for entry in lost} == {1e6, 1e38}
    assert all("step" in entry["reason"] and entry["scores"] == {} for entry in lost)
    assert table.count("— (1 diverged)") >= 2


@pytest.mark.fault("out of memory")
@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_a_sweep_goes_on_without_the_run_that_took_too_much(cache, tmp_path, monkeypatch, capsys, error):
    torch.set_num_threads(1)
    step, taken = learner.Alone.step, []

    def break_at_third(self, batches, rates):
        taken.append(rates)
        if len(taken) == 3:
            raise error
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", break_at_third)
    with pytest.raises(ValueError, match="1 of 2 runs failed, as told above"):
        sweep(cache, tmp_path, "projection=separate,shared")
    told = capsys.readouterr().err
    assert told.startswith("error: out of memory (") and told.count("\n") == 1
    for way_out in ("trainer.batch_tokens", "trainer.accumulate", "trainer.recompute=true", "trainer.stack"):
        assert way_out in told
    by_status = {entry["status"]: entry for entry in record.load_all(tmp_path)}
    assert by_status.keys() == {"failed", "finished"}
    assert by_status["failed"]["reason"].startswith("after step 2: out of memory (")
    assert "failed" in (tmp_path / "tables" / "night.md").read_text()
    counts, table = sweep(cache, tmp_path, "projection=separate,shared")
    assert counts == {"finished": 2} and "failed" not in table


def no_more() -> None:
    """The process may map no more memory than it has by now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


@pytest.mark.fault("out of memory")
@pytest.mark.parametrize("when", ["a step", "the model is built"])
def test_memory_that_is_not_there(cache, tmp_path, when):
    """Of activations too large for what malloc keeps: 1,400 tokens by 8,192 numbers."""
    said = tmp_path / "said"
    words = asked(cache, tmp_path / "results", "trainer.steps=3", "trainer.batch_tokens=2000", "model.d_ff=8192")
    where = (2, learner.Alone, "step") if when == "a step" else (1, "ablations.run", "build")
    assert done(words, said, partial(at_call, *where, no_more)) == 1
    told = refusal(said)
    assert told.startswith("out of memory (") and "trainer.batch_tokens" in told
    [failed] = record.load_all(tmp_path / "results")
    assert failed["status"] == "failed"
    assert failed["reason"].startswith("after step 1: out of memory (" if when == "a step" else "out of memory (")
    if when == "a step":
        assert done(words, said) == 0, said.read_text()
        assert outcome(tmp_path / "results")[0]["record"]["status"] == "finished"
