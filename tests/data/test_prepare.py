import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import data.prepare
from data.build import ArrayWriter, build
from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.corpora import open_corpus
from data.files import MissingCorpusError
from data.loader import Loader
from data.prepare import config_digest, prepare
from data.prepared import DamagedError, Prepared, checksum
from tests.data.helpers import left, parallel_task, text_task, write

PROSE = "The first line has more than ten words in it, as this shows.\n  Zwei Wörter\n\n" * 60
ROOT = Path(__file__).resolve().parents[2]


def fingerprints(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_facts_of_a_text_agree_with_the_text(tmp_path: Path) -> None:
    task = text_task(tmp_path, PROSE)
    facts = prepare(task, str(tmp_path), str(tmp_path / "cache")).facts
    assert sum(split["bytes"] for split in facts["splits"].values()) == len(PROSE.encode())
    assert sum(split["lines"] for split in facts["splits"].values()) == PROSE.count("\n")
    # One byte is one token and bos is not scored, so every byte is a target.
    assert all(split["tokens"] == split["bytes"] for split in facts["splits"].values())
    valid = PROSE[int(0.8 * len(PROSE)) : int(0.9 * len(PROSE))]
    assert facts["splits"]["valid"]["words"] == len(valid.split())
    assert facts["duplicates"]["valid"] == valid.count("shows.\n"), (
        "the long line is in train too, short ones do not count"
    )
    by_line = dataclasses.replace(task, newline_is_word=True)
    counted = prepare(by_line, str(tmp_path), str(tmp_path / "cache")).facts["splits"]["valid"]
    assert counted["words"] == len(valid.split()) + valid.count("\n")
    assert counted["tokens"] == facts["splits"]["valid"]["tokens"]


def test_facts_and_raw_text_of_pairs(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    source, target = ((tmp_path / f"toy/extra.{side}") for side in ("en", "toy"))
    write(source, "the dog\n\nhello  there \nx\n"), write(target, "kwa\nblank source\nun  due\n\n")
    task.corpus.files["train"] = {"source": "toy/extra.en", "target": "toy/extra.toy"}
    task.corpus.files["test"] = {"source": "toy/extra.en", "target": "toy/extra.toy"}
    task.tokenizer = TokenizerConfig("bytes")
    prepared = prepare(task, str(tmp_path), str(tmp_path / "cache"))
    facts = prepared.facts
    assert facts["splits"]["train"]["pairs"] == 2 and facts["splits"]["train"]["blank"] == 2
    test = facts["splits"]["test"]
    assert (test["pairs"], test["words"], test["tokens"]) == (4, 5, test["bytes"] + 4)
    assert prepared.lines("test", "source") == ["the dog", "", "hello  there ", "x"]
    assert prepared.lines("test", "target") == ["kwa", "blank source", "un  due", ""]
    assert facts["duplicates"] == {"test": 4, "valid": 0}
    with pytest.raises(ValueError, match="train .*is not kept"):
        prepared.lines("train", "source")
    with pytest.raises(ValueError, match="no split other"):
        prepared.stream("other")
    json.dumps(facts)


@pytest.mark.parametrize("kind", ["text", "pairs"])
def test_a_split_is_lossless_if_its_very_text_comes_back(tmp_path: Path, kind: str) -> None:
    """Where one word of one line was not in the training text, or its white space is lost, that split is not."""
    known, other, spaced = "a b\nb a\n" * 3, "a b\nb c\n" * 3, "a b\nb  a\n" * 3
    splits = {"train": known, "valid": known, "test": other, "test_2": spaced}
    for split, text in splits.items():
        write(tmp_path / f"{split}.txt", text), write(tmp_path / f"{split}.known.txt", known)
    found = {}
    for tokenizer in ("words", "characters", "bytes"):
        for side in ("source", "target"):  # the other side's text is known
            pair = {side: "{}.txt", "target" if side == "source" else "source": "{}.known.txt"}
            files = {s: {k: v.format(s) for k, v in pair.items()} if kind == "pairs" else f"{s}.txt" for s in splits}
            task = TaskConfig(
                "x",
                "translation" if kind == "pairs" else "language_modeling",
                CorpusConfig(files=files),
                TokenizerConfig(tokenizer, vocab_size=None),
            )
            facts = prepare(task, str(tmp_path), str(tmp_path / "cache")).facts
            found[tokenizer, side] = [facts["splits"][split]["lossless"] for split in splits]
    for side in ("source", "target"):
        assert found["words", side] == [True, True, False, False]
        assert found["characters", side] == [True, True, False, True]
        assert found["bytes", side] == [True] * 4


def test_arrays_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not anew for every batch: that costs time, and a folder moved meanwhile would end a run."""
    prepared = prepare(parallel_task(tmp_path), str(tmp_path), str(tmp_path / "cache"))
    loader = Loader(prepared, 256, 64, seed=0)
    next(loader)
    monkeypatch.setattr(np, "load", None)  # would raise if called
    for _ in range(loader.batches_per_epoch + 1):
        next(loader)


def test_documents_are_separated(tmp_path: Path) -> None:
    task = TaskConfig(corpus=CorpusConfig(builtin="python_docs"), tokenizer=TokenizerConfig("bytes"))
    prepared = prepare(task, None, str(tmp_path))
    stream = prepared.stream("valid")
    assert stream[0] == 1 and stream[-1] > 3
    assert (stream == 2).sum() == prepared.facts["splits"]["valid"]["documents"] - 1


def test_prepared_once_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = parallel_task(tmp_path)
    first = prepare(task, str(tmp_path), str(tmp_path / "cache"))
    monkeypatch.setattr(data.prepare, "build", None)  # would raise if called
    again = prepare(dataclasses.replace(task, context=16, test=[]), str(tmp_path), str(tmp_path / "cache"))
    assert again.folder == first.folder and again.digest == first.digest
    assert left(first.folder.parent) == [first.folder.name], "nothing left behind"


def test_the_same_text_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    task = parallel_task(tmp_path / "a")
    parallel_task(tmp_path / "b")
    one = prepare(task, str(tmp_path / "a"), str(tmp_path / "cache"))
    other = prepare(task, str(tmp_path / "b"), str(tmp_path / "elsewhere"))
    assert fingerprints(one.folder) == fingerprints(other.folder)
    assert one.folder.parts[-3:] == other.folder.parts[-3:]


def test_changed_text_or_tokenizer_is_other_data(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    cache = str(tmp_path / "cache")
    digests = {prepare(task, str(tmp_path), cache).digest}
    path = tmp_path / "toy/valid.en.gz"
    path.unlink()
    write(path, "the dog\n" * 40)
    digests.add(prepare(task, str(tmp_path), cache).digest)
    digests.add(prepare(dataclasses.replace(task, tokenizer=TokenizerConfig("bytes")), str(tmp_path), cache).digest)
    assert len(digests) == 3


def test_settings_that_change_no_integer_change_no_digest() -> None:
    task = TaskConfig(corpus=CorpusConfig(files={"train": "/here/a.txt", "valid": "b.txt"}))
    same: list[dict[str, object]] = [
        {"context": 3},
        {"test": []},
        {"newline_is_word": True},
        {"source_lang": "fr", "target_lang": "cs"},
        {"corpus": CorpusConfig(files={"train": "/there/a.txt", "valid": "b.txt"})},
    ]
    for change in same:
        assert config_digest(dataclasses.replace(task, **change)) == config_digest(task)  # type: ignore[arg-type]
    other: list[dict[str, object]] = [
        {"tokenizer": TokenizerConfig(vocab_size=5000)},
        {"tokenizer": TokenizerConfig(model="unigram")},
        {"kind": "translation"},
        {"corpus": CorpusConfig(files={"train": "/here/c.txt", "valid": "b.txt"})},
    ]
    for change in other:
        assert config_digest(dataclasses.replace(task, **change)) != config_digest(task)  # type: ignore[arg-type]


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def _flip(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink])
@pytest.mark.parametrize("name", ["train.source.npy", "valid.target.txt", "tokenizer.model", "manifest.json"])
def test_damage_is_repaired_with_the_source_and_refused_without(
    tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    task = parallel_task(tmp_path)
    cache = tmp_path / "cache"
    prepared = prepare(task, str(tmp_path), str(cache))
    whole = fingerprints(prepared.folder)
    damage(prepared.folder / name)
    with pytest.raises(ValueError, match=rf"is damaged: .*{name}.*, and its source is not here"):
        prepare(task, str(tmp_path / "nowhere"), str(cache))
    assert prepare(task, str(tmp_path), str(cache)).folder == prepared.folder
    assert fingerprints(prepared.folder) == whole


def test_digests_on_record_stay(tmp_path: Path) -> None:
    """Records are compared by them: what only changes the folder's form must not change the digest."""
    assert prepare(text_task(tmp_path, PROSE), str(tmp_path), str(tmp_path / "cache")).digest == "44727f1622328f4e"


@pytest.mark.parametrize("fault", ["damaged", "of format 1", "of an older format"])
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, fault: str) -> None:
    """And not the test split that the hub lacks: the folder was prepared from files, which had it."""
    task = parallel_task(tmp_path)
    task.corpus.hub, task.corpus.hub_splits = "someone/something", {"train": "train", "valid": "validation"}
    cache = str(tmp_path / "cache")
    prepared = prepare(task, str(tmp_path), cache)
    folder = prepared.folder
    if fault == "damaged":
        _truncate(folder / "train.source.npy")
    elif fault == "of format 1":
        manifest = prepared.manifest | {"format": 1}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"checksum": checksum(manifest)}))
    else:
        folder = folder.parent.rename(tmp_path / "cache/toy" / config_digest(task, version=1)) / folder.name
    before = fingerprints(folder)
    for corpora in (None, str(tmp_path / "nowhere")):
        with pytest.raises(
            ValueError, match=rf"prepared text {folder} is {fault}.*, and its source is not here"
        ) as told:
            prepare(task, corpora, cache)
        assert "task.test" not in str(told.value)
    again = prepare(task, str(tmp_path), cache)
    assert again.digest == prepared.digest and again.facts == prepared.facts
    assert (again.folder == folder) == (fault != "of an older format")
    if again.folder != folder:
        assert fingerprints(folder) == before, "runs of older code may be reading it"


def test_a_changed_count_is_damage(tmp_path: Path) -> None:
    """Word counts in the manifest turn losses into perplexities."""
    task = parallel_task(tmp_path)
    prepared = prepare(task, str(tmp_path), str(tmp_path / "cache"))
    manifest = prepared.folder / "manifest.json"
    words = f'"words": {prepared.manifest["splits"]["test"]["words"]}'
    assert words in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(words, words + "0"))
    with pytest.raises(DamagedError, match=r"no sound manifest.json"):
        Prepared.open(prepared.folder, task)


def test_the_slower_process_takes_the_folder_that_is_there(tmp_path: Path) -> None:
    """Others may have its arrays mapped, so a whole folder is never replaced."""
    task = parallel_task(tmp_path)
    prepared = prepare(task, str(tmp_path), str(tmp_path / "cache"))
    before = prepared.folder.stat().st_ino
    again = build(task, open_corpus(task, str(tmp_path)), prepared.folder.parent)
    assert again.folder == prepared.folder and again.folder.stat().st_ino == before
    assert left(prepared.folder.parent) == [prepared.folder.name]


def test_nothing_is_left_of_a_preparation_that_failed(tmp_path: Path) -> None:
    task = parallel_task(tmp_path, vocab_size=100_000)
    with pytest.raises(ValueError, match="largest possible value"):
        prepare(task, str(tmp_path), str(tmp_path / "cache"))
    [home] = (tmp_path / "cache/toy").iterdir()
    assert left(home) == []


def test_several_texts_and_no_source_is_refused(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    cache = str(tmp_path / "cache")
    prepare(task, str(tmp_path), cache)
    parallel_task(tmp_path, train=301)
    prepare(task, str(tmp_path), cache)
    with pytest.raises(ValueError, match="holds 2 prepared texts"):
        prepare(task, str(tmp_path / "nowhere"), cache)
    with pytest.raises(MissingCorpusError, match="paths.corpora=FOLDER"):
        prepare(task, str(tmp_path / "nowhere"), str(tmp_path / "empty"))


def test_bad_tasks_are_refused(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    for change, words in (
        ({"kind": "translate"}, "did you mean 'translation'"),
        ({"test": ["test", "test2"]}, r"asks for test2.*type 'task.test=\[test\]'"),
    ):
        with pytest.raises(ValueError, match=words):
            prepare(dataclasses.replace(task, **change), str(tmp_path), str(tmp_path / "cache"))
    del task.corpus.files["valid"]
    with pytest.raises(ValueError, match="no valid text"):
        prepare(task, str(tmp_path), str(tmp_path / "cache"))


def _prepare_at_once(task: TaskConfig, folder: str, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    prepared = prepare(task, folder, folder + "/cache")
    results.put((str(prepared.folder), prepared.digest))  # type: ignore[attr-defined]


def test_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    workers = [context.Process(target=_prepare_at_once, args=(task, str(tmp_path), barrier, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    answers = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(answers) == 1
    (home,) = (tmp_path / "cache/toy").iterdir()
    assert left(home) == [Path(next(iter(answers))[0]).name]


ON_A_NODE = """
import sys
for name in ("datasets", "wandb", "hydra", "omegaconf", "sacrebleu", "scipy"):
    sys.modules[name] = None  # importing it raises ImportError
from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.prepare import prepare
from data.loader import Loader, evaluation_batches
task = eval(sys.argv[1])
prepared = prepare(task, None, sys.argv[2])
next(Loader(prepared, 512, 64, seed=0))
print(prepared.digest, sum(batch.tokens for batch in evaluation_batches(prepared, "test", 512, 64)))
"""


def test_a_copied_folder_trains_where_nothing_else_is(tmp_path: Path) -> None:
    """Air-gapped: no text, no network, `datasets` and `wandb` not importable; only the prepared folder was copied."""
    task = parallel_task(tmp_path / "pool")
    task.corpus.hub, task.corpus.hub_splits = "someone/something", {"train": "train", "valid": "val"}
    prepared = prepare(task, str(tmp_path / "pool"), str(tmp_path / "cache"))
    tokens = prepared.facts["splits"]["test"]["tokens"]
    shutil.move(tmp_path / "cache", tmp_path / "node/cache")
    shutil.rmtree(tmp_path / "pool")
    for wanted in (task, dataclasses.replace(task, corpus=dataclasses.replace(task.corpus, hub=None))):
        done = subprocess.run(
            [sys.executable, "-c", ON_A_NODE, repr(wanted), str(tmp_path / "node/cache")],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if wanted is task:
            assert done.stdout.split() == [prepared.digest, str(tokens)], done.stderr
        else:
            assert "MissingCorpusError" in done.stderr, "another configuration is another text"


def test_the_script_tells_what_it_prepared_and_to_nobody_if_nobody_listens(tmp_path: Path) -> None:
    """A reader like `head` may be gone before the first line: that is no mistake of anyone's."""
    write(tmp_path / "text.txt", "a b\nb a\n" * 50 + "c\n" * 50)
    asked = ["task=text", f"task.corpus.files.all={tmp_path / 'text.txt'}", f"paths.cache={tmp_path / 'cache'}"]
    asked += ["task.tokenizer.kind=words", "task.tokenizer.vocab_size=null", "task.test=[test]"]
    command = [
        sys.executable,
        str(ROOT / "scripts/prepare.py"),
        *asked,
        "task.corpus.fractions={train:.6,valid:.08,test:.3}",
    ]
    told = subprocess.run(command, capture_output=True, text=True)
    assert "  valid: " in told.stdout and "not lossless" in told.stdout.split("test: ")[1], told.stderr
    assert "not lossless" not in told.stdout.split("test: ")[0]
    reader, writer = os.pipe()
    os.close(reader)
    alone = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (alone.returncode, alone.stderr) == (0, "")


def test_arrays_refuse_what_their_type_cannot_hold(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "a.npy", np.uint16)
    writer.extend([1, 65_535])
    with pytest.raises(OverflowError):
        writer.extend([65_536])
    writer.close()
    assert np.load(tmp_path / "a.npy").tolist() == [1, 65_535]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_arrays_are_what_numpy_would_have_written(tmp_path: Path, dtype: type) -> None:
    """None, one, and enough numbers for several writes; the header holds a length unknown when it was written."""
    rng = np.random.default_rng(0)
    for parts in ([], [1], [400_000, 1, 0, 700_000]):
        whole = [rng.integers(0, np.iinfo(dtype).max, count, dtype, endpoint=True) for count in parts]
        writer = ArrayWriter(tmp_path / "a.npy", dtype)
        for part in whole:
            writer.extend(part.tolist())
        writer.close()
        np.save(tmp_path / "b.npy", np.concatenate([np.empty(0, dtype), *whole]))
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
        assert writer.length == sum(parts)


@pytest.mark.skipif("QKV_CORPORA" not in os.environ, reason="QKV_CORPORA names no pool of real corpora")
def test_real_corpora_have_their_published_counts(tmp_path: Path) -> None:
    from ablations.compose import compose

    def prepared(name: str) -> data.prepare.Prepared:
        return prepare(compose([f"task={name}"]).task, os.environ["QKV_CORPORA"], str(tmp_path))

    words = prepared("wikitext2_words").facts
    assert {split: facts["tokens"] for split, facts in words["splits"].items()} == {
        "train": 2_088_628,
        "valid": 217_646,
        "test": 245_569,
    }
    assert words["vocabulary"] == 33_278 + 3  # pad, bos, eos; the line end and <unk> are types of the text
    shakespeare = prepared("tiny_shakespeare").facts
    assert [facts["tokens"] for facts in shakespeare["splits"].values()] == [1_003_854, 111_540]
    assert shakespeare["vocabulary"] == 65 + 4
    multi30k = prepared("multi30k_en_de")
    assert [facts["pairs"] for facts in multi30k.facts["splits"].values()] == [29_000, 1014, 1000, 1000, 461, 1071]
    loader = Loader(multi30k, 4096, 128, seed=0)
    padded = real = 0
    for _ in range(loader.batches_per_epoch):
        batch = next(loader)
        padded += batch.inputs["source"].numel() + batch.targets.numel()
        real += int(batch.inputs["source_mask"].sum()) + batch.tokens
    assert 1 - real / padded < 0.05
    opinions = prepared("sst2").facts
    assert [facts["examples"] for facts in opinions["splits"].values()] == [67_349, 872, 1821]
    assert [list(counts.values()) for counts in opinions["classes"].values()] == [
        [29_780, 37_569],
        [428, 444],
        [912, 909],
    ]
    assert opinions["duplicates"] == {"test": 1, "valid": 0}


@pytest.mark.skipif("QKV_CORPORA" not in os.environ, reason="QKV_CORPORA names no pool of real corpora")
def test_records_are_still_of_the_integers_that_preparing_gives(tmp_path: Path) -> None:
    from ablations.compose import compose

    records = [json.loads(file.read_text()) for file in (ROOT / "results/records").glob("*/*.json")]
    digests = {record["task"]: record["data"]["digest"] for record in records if record.get("data")}
    for name in {"multi30k_en_de", "wikitext2", "tiny_shakespeare"} & digests.keys():
        task = compose([f"task={name}"]).task
        assert prepare(task, os.environ["QKV_CORPORA"], str(tmp_path)).digest == digests[name], name
