"""kill -9 at any moment: whoever is asked again goes on, and ends as if nothing had happened, bit for bit."""

import signal
import time
from pathlib import Path

import pytest

from tests.ablations.cells import asked
from tests.faults.processes import finish, outcome, start

WORDS = (
    "trainer.steps=24",
    "trainer.accumulate=2",
    "trainer.checkpoint_every=7",
    "trainer.eval_every=10",
    "trainer.log_every=3",
    "trainer.select=best",
    "model.dropout=0.2",
)


def words(cache: Path, results: Path, precision: str = "fp32", *more: str) -> list[str]:
    return asked(cache, results, *WORDS, f"trainer.precision={precision}", *more)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def precision(request):
    return request.param


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def undisturbed(precision, cache, tmp_path_factory):
    """What the run leaves, and how long it takes."""
    folder = tmp_path_factory.mktemp(precision)
    assert finish(words(cache, folder / "first", precision), said=folder / "said") == 0  # prepares the text
    began = time.monotonic()
    assert finish(words(cache, folder / "second", precision), said=folder / "said") == 0
    seconds = time.monotonic() - began
    assert outcome(folder / "first") == outcome(folder / "second")
    return outcome(folder / "first"), seconds


@pytest.mark.fault("kill -9 at a random moment of a training")
def test_killed_at_random_moments(precision, cache, undisturbed, tmp_path, trials):
    """Again and again: a run that has come to its end makes room for a new one."""
    whole, seconds = undisturbed
    ended = 0
    for _ in trials(full=60, quick=2):
        while True:
            process = start(words(cache, tmp_path / str(ended), precision), said=tmp_path / "said")
            process.join(trials.random.uniform(0.1, 1) * seconds)
            process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                break
            assert process.exitcode == 0, (tmp_path / "said").read_text()
            assert outcome(tmp_path / str(ended)) == whole
            ended += 1
    assert finish(words(cache, tmp_path / str(ended), precision), said=tmp_path / "said") == 0
    assert outcome(tmp_path / str(ended)) == whole


@pytest.mark.fault("kill -9 at every change of a file")
def test_killed_at_every_change_of_a_file(cache, undisturbed, precision, tmp_path, trials):
    """Open, rename, remove, make a folder: of work, checkpoints, best weights, curve, translations and the record."""
    if precision == "bf16" and not trials.full:
        pytest.skip("the same files")
    whole, _ = undisturbed
    said = tmp_path / "said"
    assert finish(words(cache, tmp_path / "counted", precision), said=said, count=tmp_path / "count") == 0
    changes = int((tmp_path / "count").read_text())
    assert changes > 40
    places = range(1, changes + 1) if trials.full else [1 + number * (changes - 1) // 3 for number in (1, 2, 3)]
    for number in trials(full=len(places), quick=len(places)):
        asked_for = words(cache, tmp_path / str(number), precision)
        assert finish(asked_for, said=said, die_at=places[number]) == -signal.SIGKILL
        assert finish(asked_for, said=said) == 0, said.read_text()
        assert outcome(tmp_path / str(number)) == whole, said.read_text().splitlines()[-1]
    killed = said.read_text()
    if trials.full:
        for named in ("os.rename", "checkpoint-", "best-", "model.pt", "metrics.jsonl", "hypotheses", ".json"):
            assert any(named in line for line in killed.splitlines() if line.startswith("killed at")), named


@pytest.mark.fault("kill -9 in the middle of a write")
def test_killed_in_the_middle_of_a_write(cache, undisturbed, precision, tmp_path, trials):
    """The system kills who writes more into a file than it may: at a byte of our choice."""
    whole, _ = undisturbed
    if precision == "bf16" and not trials.full:
        pytest.skip("the same files")
    for number in trials(full=25, quick=2):
        asked_for = words(cache, tmp_path / str(number), precision)
        most = trials.random.choice([300, 3000, 30_000]) + trials.random.randrange(2000)
        assert finish(asked_for, said=tmp_path / "said", most=most) == -signal.SIGXFSZ
        assert any((tmp_path / str(number)).rglob(".*.tmp")) or most < 4000
        assert finish(asked_for, said=tmp_path / "said") == 0, (tmp_path / "said").read_text()
        assert outcome(tmp_path / str(number)) == whole


@pytest.mark.fault("kill -9, then the newest checkpoint damaged")
def test_killed_and_its_newest_checkpoint_damaged(precision, cache, undisturbed, tmp_path, trials):
    if precision == "bf16" and not trials.full:
        pytest.skip("the same files")
    whole, _ = undisturbed
    for number in trials(full=20, quick=1):
        asked_for, said = words(cache, tmp_path / str(number), precision), tmp_path / f"said{number}"
        place = rf"os.rename .*checkpoint-{trials.random.choice([14, 20, 21, 24])}.pt"
        assert finish(asked_for, said=said, die_at=place) == -signal.SIGKILL
        _, newest = sorted(tmp_path.glob(f"{number}/work/*/checkpoint-*.pt"), key=lambda file: int(file.stem[11:]))
        content = bytearray(newest.read_bytes())
        content[trials.random.randrange(len(content))] ^= 1 << trials.random.randrange(8)
        if trials.random.random() < 0.5:
            content = content[: trials.random.randrange(len(content))]
        newest.write_bytes(content)
        assert finish(asked_for, said=said) == 0, said.read_text()
        assert f"{newest.name} is damaged, its checksum does not fit: the run goes on from" in said.read_text()
        assert outcome(tmp_path / str(number)) == whole


@pytest.mark.fault("kill -9 between the record and the tidying up")
def test_what_is_left_of_a_run_on_record_is_not_the_end_of_the_next(cache, tmp_path):
    """`rerun=true` trains again: a last checkpoint that was left behind would be scored in place of that."""
    asked_for, said = words(cache, tmp_path / "results"), tmp_path / "said"
    assert finish(asked_for, said=said, die_at=r"os.remove .*/checkpoint-24.pt") == -signal.SIGKILL
    assert list(tmp_path.glob("results/records/*/*.json")) and list(tmp_path.glob("results/work/*/checkpoint-24.pt"))
    again = [*asked_for, "rerun=true"]
    assert finish(again, said=said, die_at=r"os.rename .*checkpoint-7.pt") == -signal.SIGKILL, "it trains"
    assert finish(again, said=said, die_at=r"os.rename .*checkpoint-14.pt") == -signal.SIGKILL
    assert finish(again, said=said) == 0
    assert not list(tmp_path.glob("results/work/*/checkpoint*"))


@pytest.mark.fault("kill -9 between the record and the tidying up")
def test_what_is_left_of_a_run_on_record_goes_when_it_is_asked_for(cache, tmp_path):
    asked_for, said = words(cache, tmp_path / "results"), tmp_path / "said"
    assert finish(asked_for, said=said, die_at=r"os.remove .*/checkpoint-24.pt") == -signal.SIGKILL
    assert finish(asked_for, said=said) == 0 and "not trained again" in said.read_text()
    assert not list(tmp_path.glob("results/work/*/checkpoint*"))


@pytest.mark.fault("kill -9 of a run that is trained again")
def test_a_rerun_goes_on_where_it_was_killed(cache, tmp_path):
    """Also where another study has asked for the run meanwhile, and has a record of its own."""
    asked_for, said = words(cache, tmp_path / "results"), tmp_path / "said"
    again = [*asked_for, "rerun=true"]
    assert finish(asked_for, said=said) == 0
    whole = outcome(tmp_path / "results")
    assert finish(again, said=said, die_at=r"os.rename .*checkpoint-14.pt") == -signal.SIGKILL
    assert finish([*asked_for, "study.name=another"], said=said) == 0 and "not trained again" in said.read_text()
    assert finish(again, said=said, die_at=r"os.rename .*checkpoint-7.pt") == 0, "it is beyond that step"
    [other] = tmp_path.glob("results/records/another/*.json")
    other.unlink()
    assert outcome(tmp_path / "results") == whole


@pytest.mark.fault("kill -9 of a run that is trained again")
@pytest.mark.parametrize("change", ["edited", "renamed"])
def test_a_rerun_replaces_a_record_whatever_it_is(change, cache, tmp_path):
    asked_for, said = words(cache, tmp_path / "results"), tmp_path / "said"
    assert finish(asked_for, said=said) == 0
    whole = outcome(tmp_path / "results")
    [file] = tmp_path.glob("results/records/*/*.json")
    if change == "edited":
        file.write_text(file.read_text().replace('"nll": ', '"nll": 1'))
    else:
        file.rename(file.with_name(f"mine-{file.stem.rpartition('-')[2]}.json"))
    assert finish([*asked_for, "rerun=true"], said=said, die_at=r"os.rename .*checkpoint-14.pt") == -signal.SIGKILL
    assert finish([*asked_for, "rerun=true"], said=said) == 0, said.read_text()
    for older in tmp_path.glob("results/records/*/mine-*.json"):
        older.unlink()
    assert outcome(tmp_path / "results") == whole


@pytest.mark.fault("kill -9 at a random moment of a stack of runs")
def test_a_stack_killed_at_random_moments(cache, tmp_path, trials):
    """Each of its runs has a checkpoint of its own: killed between two of them, they go on from different steps."""
    stack, said = ("seed=0,1,2", "trainer.stack=3", "trainer.select=last"), tmp_path / "said"
    assert finish(words(cache, tmp_path / "whole", "fp32", *stack), said=said) == 0
    whole = outcome(tmp_path / "whole")
    assert len(whole) == 3
    for number in trials(full=6, quick=1):
        asked_for = words(cache, tmp_path / str(number), "fp32", *stack)
        place = f"os.rename .*checkpoint-{trials.random.choice([7, 10, 14, 20, 21, 24])}.pt"
        assert finish(asked_for, said=said, die_at=place) == -signal.SIGKILL
        assert finish(asked_for, said=said) == 0, said.read_text()
        assert close(outcome(tmp_path / str(number)), whole)


def close(ours: dict, theirs: dict) -> bool:
    """Within rounding: runs that go on from different steps do so one by one, which adds up in another order."""
    return ours.keys() == theirs.keys() and all(
        ours[seed]["left"] == theirs[seed]["left"]
        and [line["step"] for line in ours[seed]["lines"]] == [line["step"] for line in theirs[seed]["lines"]]
        and ours[seed]["record"]["scores"]["valid"]["nll"]
        == pytest.approx(theirs[seed]["record"]["scores"]["valid"]["nll"], rel=1e-5)
        for seed in ours
    )
