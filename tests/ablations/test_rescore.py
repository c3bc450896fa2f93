"""`evaluate.py`: a finished run scored again, without touching its record; every mistake one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
from ablations import record
from ablations.compose import CONF
from ablations.rescore import rescore
from tests.ablations.cells import do
from tests.ablations.make import rewrite

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = CONF.parent


@pytest.fixture(scope="module")
def finished(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a run that scored `valid` and `test` with two beams."""
    results = tmp_path_factory.mktemp("results")
    do(
        cache,
        results,
        "evaluation.beam=2",
        "model.d_model=16",
        "trainer.steps=40",
        "trainer.log_every=40",
        "optim.lr=1e-2",
    )
    [file] = results.glob("records/*/*.json")
    return file


def again(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments), "--device", "cpu"])
    evaluate.main()


def everything(file: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in file.parents[2].rglob("*") if path.is_file()}


def written(file: Path, before: dict[Path, bytes]) -> dict[str, bytes]:
    """Name -> content of files that are new or changed."""
    return {path.name: content for path, content in everything(file).items() if before.get(path) != content}


def work(file: Path) -> Path:
    return file.parents[2] / "work" / record.load(file)["signature"]


def test_the_same_search_gives_the_record_s_numbers(finished: Path, monkeypatch, capsys):
    """All of them, exactly; which shows that weights, text and settings are the run's own."""
    before = everything(finished)
    again(monkeypatch, finished)
    scores = record.load(finished)["scores"]
    told = capsys.readouterr().out
    found = written(finished, before)
    assert found.keys() == {f"evaluation.{s}.beam2.{kind}" for s in ("valid", "test") for kind in ("json", "txt")}
    for split in ("valid", "test"):
        assert json.loads(found[f"evaluation.{split}.beam2.json"]) == {split: scores[split]}
        assert f"written to {work(finished)}/evaluation.{split}.beam2.json" in told
        assert f'"nll": {scores[split]["nll"]}' in told


def test_another_split_and_another_search(finished: Path, monkeypatch):
    before = everything(finished)
    scores = record.load(finished)["scores"]
    again(monkeypatch, finished, "--split", "test", "--beam", 1)
    found = written(finished, before)
    assert found.keys() == {"evaluation.test.beam1.json", "evaluation.test.beam1.txt"}
    greedy = json.loads(found["evaluation.test.beam1.json"])["test"]
    assert greedy["beam"] == 1 and greedy["nll"] == scores["test"]["nll"]
    assert found["evaluation.test.beam1.txt"] != before[work(finished) / "hypotheses.test.txt"]
    assert (greedy["bleu"], greedy["chrf"]) != (scores["test"]["bleu"], scores["test"]["chrf"])


def test_another_search_leaves_the_run_s_translations_alone(finished: Path, monkeypatch):
    """They are kept for tests that pair them with those of other runs."""
    before = everything(finished)
    again(monkeypatch, finished, "--split", "test", "--length-penalty", 0)
    found = written(finished, before)
    assert found.keys() == {"evaluation.test.beam2.penalty0.json", "evaluation.test.beam2.penalty0.txt"}
    assert json.loads(found["evaluation.test.beam2.penalty0.json"])["test"]["length_penalty"] == 0


def test_a_language_model_with_a_shorter_stride(cache: Path, tmp_path: Path, monkeypatch):
    """The longer the history, the other the score; the windows say which was which."""
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 40)
    text = ("task=text", f"task.corpus.files.all={tmp_path / 'text.txt'}", "task.tokenizer.kind=characters")
    entry = do(cache, tmp_path / "r", "task.context=32", task=text)
    [file] = tmp_path.glob("r/records/*/*.json")
    before = everything(file)
    with pytest.raises(ValueError, match="--length-penalty changes nothing for language_modeling"):
        rescore(file, None, {"length_penalty": 0.5}, None, "cpu")
    again(monkeypatch, file, "--split", "test", "--stride", 4)
    found = written(file, before)
    assert found.keys() == {"evaluation.test.stride4.json"}
    scores = json.loads(found["evaluation.test.stride4.json"])["test"]
    assert scores["window"] == {"context": 32, "stride": 4}
    assert scores["tokens"] == entry["scores"]["test"]["tokens"] and scores["nll"] != entry["scores"]["test"]["nll"]


def test_a_classifier_gives_its_numbers_and_its_labels_again(cache: Path, tmp_path: Path, monkeypatch):
    """There is no search to name: one file a split, and a label a line."""
    opinions = ("task=toy_sentiment", "task.corpus.options={train: 200, valid: 20, test: 20}")
    entry = do(cache, tmp_path / "r", task=opinions)
    [file] = tmp_path.glob("r/records/*/*.json")
    before = everything(file)
    again(monkeypatch, file, "--split", "test")
    found = written(file, before)
    assert found.keys() == {"evaluation.test.json", "evaluation.test.txt"}
    assert json.loads(found["evaluation.test.json"])["test"] == entry["scores"]["test"]
    assert found["evaluation.test.txt"] == before[work(file) / "hypotheses.test.txt"]
    labels = found["evaluation.test.txt"].decode().split()
    assert len(labels) == entry["scores"]["test"]["examples"] == 20 and set(labels) <= {"negative", "positive"}
    assert {sample["reference"] for sample in entry["samples"]} <= {"negative", "positive"}


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    for path, content in everything(finished).items():
        target = tmp_path / path.relative_to(finished.parents[2])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return tmp_path / finished.relative_to(finished.parents[2])


def change(file: Path, **entries: object) -> None:
    rewrite(file, lambda text: json.dumps({**json.loads(text), **entries}))


def no_weights(file: Path) -> None:
    (work(file) / "model.pt").unlink()


def damaged_weights(file: Path) -> None:
    weights = work(file) / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-400])


def damaged_record(file: Path) -> None:
    file.write_text(file.read_text()[:500])


def edited_record(file: Path) -> None:
    config = json.loads(file.read_text())["config"]
    change(file, config={**config, "seed": 7})


def other_text(file: Path) -> None:
    change(file, data={**json.loads(file.read_text())["data"], "digest": "0" * 16})


def no_record(file: Path) -> None:
    file.unlink()


def diverged(file: Path) -> None:
    change(file, status="diverged", scores={}, reason="loss nan by step 3")


def failed(file: Path) -> None:
    change(file, status="failed", scores={}, reason="killed")


@pytest.mark.parametrize(
    ("broken", "arguments", "words"),
    [
        (None, ["--split", "test_2017"], "task reverse has no split 'test_2017': choose from valid, test"),
        (None, ["--split", "valid", "--split", "train"], "no split 'train'"),
        (None, ["--beam", "0"], "beam=0"),
        (None, ["--beam", "many"], "argument --beam"),
        (None, ["--length-penalty", "-1"], "length_penalty=-1"),
        (None, ["--stride", "4"], "--stride changes nothing for translation: leave it out"),
        (no_weights, [], "model.pt is not there: train the run again with rerun=true"),
        (damaged_weights, [], "model.pt is damaged"),
        (damaged_record, [], "is not a readable record"),
        (edited_record, [], "was edited or written by another version"),
        (other_text, [], "was made from another text"),
        (no_record, [], "No such file or directory"),
        (diverged, [], "is of a run that diverged: there are no weights to score"),
        (failed, [], "is of a run that failed: there are no weights to score"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_mistake_is_one_sentence_and_writes_nothing(copied: Path, monkeypatch, capsys, broken, arguments, words):
    if broken is not None:
        broken(copied)
    before = everything(copied)
    with pytest.raises(SystemExit) as end:
        again(monkeypatch, copied, *arguments)
    told = capsys.readouterr()
    assert end.value.code == 1 and told.out == ""
    assert told.err.startswith("error: ") and told.err.count("\n") == 1 and words in told.err
    assert everything(copied) == before


@pytest.mark.parametrize("place", ["study/run.json", "/run.json"])
def test_a_record_without_its_results_folder_has_no_weights(finished: Path, monkeypatch, place: str):
    entry = record.load(finished)
    monkeypatch.setattr(record, "load", lambda _: entry)
    with pytest.raises(ValueError, match=r"model\.pt is not there"):
        rescore(Path(place), None, {}, None, "cpu")


def test_the_command_as_a_person_types_it(finished: Path, copied: Path):
    command = [sys.executable, str(ROOT / "evaluate.py"), str(copied), "--split=test", "--beam=1"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (answer.returncode, answer.stderr) == (0, "")
    numbers, told = answer.stdout.rsplit("\n", 2)[:2]
    assert told == f"written to {work(copied) / 'evaluation.test.beam1.json'}"
    assert json.loads(numbers)["test"]["tokens"] == record.load(finished)["scores"]["test"]["tokens"]
