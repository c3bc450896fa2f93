"""Two processes on one run, as torchrun starts them: they learn what one process would, and speak with one voice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ablations import errors, learner, record, run
from ablations.compose import CONF
from ablations.device import Place
from ablations.evaluator import nats_per_token
from ablations.model import build
from data.prepare import prepare
from tests.ablations.cells import asked, config, do, timeless, weights
from tests.ablations.pair import OPTIONS, SOBER

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = CONF.parent


def torchrun(*command: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of two processes of a command."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        program, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = started.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        raise
    return started.returncode, out, err


@pytest.fixture(scope="module")
def pair(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes left what `pair.py` says."""
    folder = tmp_path_factory.mktemp("pair")
    code, _, err = torchrun(str(Path(__file__).with_name("pair.py")), str(cache), str(folder))
    assert code == 0, err
    return folder


def of_each(folder: Path) -> list[dict[str, torch.Tensor]]:
    return [torch.load(folder / f"weights.{rank}.pt", weights_only=True) for rank in (0, 1)]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def assert_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    for name, weight in a.items():
        torch.testing.assert_close(weight, b[name], rtol=1e-3, atol=2e-5, msg=name)


def assert_one_run(one: dict, two: dict) -> None:
    """Records of the same run by one process and by two: other sums of the same numbers in another order."""
    assert one["signature"] == two["signature"]
    assert (one["machine"]["processes"], two["machine"]["processes"]) == (1, 2)
    for name in ("steps", "tokens", "epochs"):
        assert one["training"][name] == two["training"][name]
    assert [line["step"] for line in one["curve"]] == [line["step"] for line in two["curve"]]
    for a, b in zip(timeless(one["curve"]), timeless(two["curve"]), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    assert one["scores"]["test"]["nll"] == pytest.approx(two["scores"]["test"]["nll"], rel=1e-4)


def test_processes_end_with_the_same_weights(pair: Path):
    for name in ("straight", "broken", "sober"):
        assert same(*of_each(pair / name))


def test_two_processes_learn_what_one_that_accumulates_learns(pair: Path, cache: Path, tmp_path: Path):
    """But for dropout, a run is the same run however many share its batches."""
    one = do(cache, tmp_path, *OPTIONS, *SOBER)
    [two] = record.load_all(pair / "sober")
    assert_one_run(one, two)
    assert_close(weights(tmp_path), weights(pair / "sober"))


def test_two_processes_resume_bit_for_bit(pair: Path):
    """With dropout: each process finds its own stream again."""
    [straight], [resumed] = record.load_all(pair / "straight"), record.load_all(pair / "broken")
    assert straight["machine"]["processes"] == 2
    assert same(weights(pair / "straight"), weights(pair / "broken"))
    assert timeless(straight["curve"]) == timeless(resumed["curve"])
    assert straight["scores"] == resumed["scores"]


def test_processes_drop_out_different_units(pair: Path):
    """Were both to draw from one stream, half the masks would be copies; a resumed one goes on with its own."""
    streams = {
        name: [(pair / name / f"stream.{rank}").read_text() for rank in (0, 1)] for name in ("straight", "broken")
    }
    assert streams["straight"] == streams["broken"] and len(set(streams["straight"])) == 2


def test_the_first_process_records_and_speaks(pair: Path):
    first, second = ((pair / "straight" / f"printed.{rank}").read_text() for rank in (0, 1))
    assert second == ""
    assert first.count("record: ") == 1 and first.count("not trained again") == 1
    objectives = {(pair / "straight" / f"objective.{rank}").read_text() for rank in (0, 1)}
    [entry] = record.load_all(pair / "straight")
    assert objectives == {repr(entry["scores"]["valid"]["nll"])}, "all sweepers are told the same"
    [folder] = pair.glob("straight/work/*")
    assert {file.name for file in folder.iterdir()} >= {"model.pt", "metrics.jsonl"}
    assert not [*folder.glob("checkpoint*"), *folder.glob("best*")]
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 9))


def test_processes_share_the_validation(pair: Path, cache: Path):
    """Each scores its share and all get the whole: what one process computes over everything."""
    [entry] = record.load_all(pair / "straight")
    assert entry["curve"][-1]["valid_nll"] == pytest.approx(entry["scores"]["valid"]["nll"], rel=1e-6)

    class Share(Place):
        def all_reduce(self, value):
            shares.append(value)
            return value

    asked_for = config(cache, cache)
    prepared, shares = prepare(asked_for.task, None, str(cache)), []
    model = build(asked_for, prepared)
    asked_for.trainer.eval_batch_tokens = 32
    given = (model, prepared, "test", asked_for)
    for rank in (0, 1):
        nats_per_token(*given, Share(torch.device("cpu"), "fp32", rank, 2))
    nll, count = nats_per_token(*given)
    assert sum(shares).tolist() == pytest.approx([nll * count, count])
    assert min(tokens for _, tokens in map(torch.Tensor.tolist, shares)) > count / 4, "about a half for each"


def test_two_processes_go_on_where_one_stopped(cache: Path, tmp_path: Path, monkeypatch):
    """The real command. Data order and weights are the run's, so the number of processes may change on the way."""
    options = (*SOBER, "trainer.steps=8", "trainer.accumulate=2", "trainer.checkpoint_every=4", "trainer.log_every=4")
    straight = do(cache, tmp_path / "straight", *options)

    step = learner.Alone.step
    taken = []

    def stop_at_sixth(self, batches, rates):
        """In the middle of a line, whose sums are of one process so far."""
        taken.append(rates)
        if len(taken) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batches, rates)

    monkeypatch.setattr(learner.Alone, "step", stop_at_sixth)
    with pytest.raises(SystemExit):
        run.run(config(cache, tmp_path / "broken", *options), [])
    assert list(tmp_path.glob("broken/work/*/checkpoint-*.pt")) and not list(tmp_path.glob("broken/records/*/*"))

    code, out, err = torchrun("train.py", *asked(cache, tmp_path / "broken", *options))
    assert code == 0, err
    assert out.count("record: ") == 1
    [resumed] = record.load_all(tmp_path / "broken")
    assert_one_run(straight, resumed)
    assert_close(weights(tmp_path / "straight"), weights(tmp_path / "broken"))


def test_a_mistake_of_all_is_told_once(tmp_path: Path):
    code, out, err = torchrun("train.py", "projection=shard", f"paths.results={tmp_path}")
    assert code == 1 and out == ""
    assert err.count("did you mean 'shared'") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_of_one_process_is_told_with_its_number(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(errors, "PATIENCE", 0.0)
    errors.tell("the corpus is not there")
    assert capsys.readouterr().err == "error: process 1: the corpus is not there\n"


def test_what_the_first_process_refuses_all_refuse(monkeypatch):
    def refuse():
        raise ValueError("the checkpoint is damaged")

    told = []
    monkeypatch.setattr(Place, "broadcast", lambda _, mine: told.append(mine) or told[0])
    for rank in (0, 1):
        with pytest.raises(ValueError, match="the checkpoint is damaged"):
            Place(torch.device("cpu"), "fp32", rank, 2).first(refuse)


def test_batches_that_cannot_be_shared_are_refused(cache: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(run, "find_place", lambda _: Place(torch.device("cpu"), "fp32", 0, 2))
    monkeypatch.setattr(Place, "broadcast", lambda _, mine: mine)
    with pytest.raises(ValueError, match="trainer.accumulate=3 .* 2 processes: set trainer.accumulate="):
        run.run(config(cache, tmp_path, "trainer.accumulate=3"), [])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]
