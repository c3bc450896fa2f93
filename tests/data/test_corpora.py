import dataclasses
import gzip
from itertools import combinations
from pathlib import Path

import pytest

from data.builtin import python_docs
from data.config import CorpusConfig, TaskConfig
from data.corpora import ContentDigest, open_corpus
from data.files import MissingCorpusError, find, read_lines, read_pairs, read_text
from data.synthetic import GENERATORS, generate
from tests.data.helpers import parallel_task, text_task, write


def test_files_are_read_by_hand(tmp_path: Path) -> None:
    """Lines that readers made for tables get wrong: quotation marks, null, a lone CR, unusual line separators."""
    lines = ['"quoted', "null", "NA", "a\rb", "c\u2028d\x85e", "", "  last  "]
    path = write(tmp_path / "a.txt.gz", "\ufeff" + "\r\n".join(lines) + "\r\n")
    assert read_lines(path) == lines
    assert read_lines(write(tmp_path / "b.txt", "no newline\nat the end")) == ["no newline", "at the end"]


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 3 holds the byte 0xff"):
        read_text(write(tmp_path / "bad.txt", b"one\ntwo\nthr\xffee\n"))
    with pytest.raises(ValueError, match="is empty"):
        read_text(write(tmp_path / "empty.txt", " \n\n"))
    packed = write(tmp_path / "cut.gz", "text\n" * 1000)
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_text(packed)
    short, long = write(tmp_path / "s", "a\nb\n"), write(tmp_path / "l", "a\nb\nc\n")
    with pytest.raises(ValueError, match=r"s has 2 lines, .*l has 3"):
        read_pairs(short, long)


def test_files_are_found_packed_or_not_and_missing_ones_say_where(tmp_path: Path) -> None:
    write(tmp_path / "pool/a.txt", "x")
    write(tmp_path / "pool/b.txt.gz", "x")
    assert find("a.txt.gz", str(tmp_path / "pool")).name == "a.txt"
    assert find("b.txt", str(tmp_path / "pool")).name == "b.txt.gz"
    with pytest.raises(MissingCorpusError, match=r"pool/none.txt and is not there: type paths.corpora=FOLDER"):
        find("none.txt", str(tmp_path / "pool"))


def test_fractions_cut_a_text_without_loss(tmp_path: Path) -> None:
    text = "".join(f"line {i} é\n" for i in range(1000))
    corpus = open_corpus(text_task(tmp_path, text), str(tmp_path))
    parts = [next(corpus.read(split))[0] for split in ("train", "valid", "test")]
    assert "".join(parts) == text
    assert len(parts[0]) == int(0.8 * len(text))


def test_what_is_not_given_is_named(tmp_path: Path) -> None:
    task = TaskConfig(corpus=CorpusConfig(files={"all": None}))
    with pytest.raises(ValueError, match="task.corpus.files.all=FILE"):
        open_corpus(task, None)
    with pytest.raises(ValueError, match="names no text"):
        open_corpus(TaskConfig(), None)
    pairs = parallel_task(tmp_path)
    pairs.corpus.files["train"] = {"source": "toy/train.en.gz", "target": None}
    with pytest.raises(ValueError, match="task.corpus.files.train must be"):
        open_corpus(pairs, str(tmp_path))
    with pytest.raises(ValueError, match="needs task.kind=translation"):
        open_corpus(TaskConfig(corpus=CorpusConfig(generator="copy")), None)
    with pytest.raises(ValueError, match="needs task.kind=classification"):
        open_corpus(TaskConfig(kind="translation", corpus=CorpusConfig(generator="toy_sentiment")), None)
    with pytest.raises(ValueError, match="known: reverse"):
        open_corpus(TaskConfig(kind="translation", corpus=CorpusConfig(generator="mirror")), None)


def test_files_come_before_the_hub_where_they_are_pointed_to(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    task.corpus.hub, task.corpus.hub_splits = "someone/something", {"train": "train"}
    assert open_corpus(task, str(tmp_path)).origin == "files"
    assert open_corpus(task, None).origin == "hub"
    absolute = {
        split: {side: str(tmp_path / name) for side, name in paths.items()}
        for split, paths in task.corpus.files.items()
    }
    assert open_corpus(dataclasses.replace(task, corpus=CorpusConfig(files=absolute, hub="x")), None).origin == "files"


def test_where_one_text_ends_counts() -> None:
    digests = []
    for pair in (("ab", "c"), ("a", "bc"), ("abc", "")):
        digests.append(ContentDigest())
        digests[-1].add("train", pair)
    assert len({digest.hexdigest() for digest in digests}) == 3


def test_content_decides_not_its_packing(tmp_path: Path) -> None:
    task = parallel_task(tmp_path)
    before = open_corpus(task, str(tmp_path)).content()
    path = tmp_path / "toy/train.en.gz"
    text = gzip.decompress(path.read_bytes())
    path.unlink()
    write(tmp_path / "toy/train.en", text)
    assert open_corpus(task, str(tmp_path)).content() == before
    write(tmp_path / "toy/train.en", text.replace(b"dog", b"dig", 1))
    assert open_corpus(task, str(tmp_path)).content() != before


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_loads_by_its_columns(tmp_path: Path, streaming: bool) -> None:
    """A folder of Parquet stands for the hub: nested columns, rows shared out, odd values as they are."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = [{"translation": {"en": f'"row {i}', "de": f"null\n{i}"}, "id": i} for i in range(30)]
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "set/train.parquet"))
    config = CorpusConfig(
        hub=str(tmp_path / "set"),
        hub_splits={"valid": "train", "test": "train", "train": "train"},
        max_documents={"valid": 5, "test": 3, "train": 10},
        columns={"source": "translation.de", "target": "translation.en"},
        streaming=streaming,
    )
    task = TaskConfig(kind="translation", corpus=config)
    corpus = open_corpus(task, None)
    assert corpus.local
    assert list(corpus.read("valid")) == [(f"null {i}", f'"row {i}') for i in range(5)]
    assert [target for _, target in corpus.read("train")] == [f'"row {i}' for i in range(8, 18)]
    config.columns["source"] = "translation.fr"
    with pytest.raises(ValueError, match="no column translation.fr"):
        next(corpus.read("train"))
    del config.max_documents["valid"]
    with pytest.raises(ValueError, match="max_documents.valid"):
        next(corpus.read("train"))


def test_rows_that_are_lines_make_one_text(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict({"text": ["", " = Title = \n", "words <unk> \n"]}).to_parquet(
        str(tmp_path / "set/train.parquet")
    )
    config = CorpusConfig(hub=str(tmp_path / "set"), hub_splits={"train": "train"}, rows="lines")
    assert list(open_corpus(TaskConfig(corpus=config), None).read("train")) == [("\n = Title = \nwords <unk> \n",)]


def test_an_unreachable_data_set_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'some/name' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    config = CorpusConfig(hub="some/name", hub_splits={"train": "train"}, files={"train": "x"})
    with pytest.raises(MissingCorpusError, match="give paths.corpora=FOLDER .*scripts/prepare.py") as missing:
        next(open_corpus(TaskConfig(corpus=config), None).read("train"))
    assert "\n" not in str(missing.value)


@pytest.mark.parametrize("name", GENERATORS)
def test_generated_pairs_are_deterministic_and_distinct(name: str) -> None:
    options = {"train": 400, "valid": 50, "test": 50, "seed": 3}
    splits = generate(name, options)
    assert splits == generate(name, options) and splits != generate(name, options | {"seed": 4})
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 400, "valid": 50, "test": 50}
    for one, other in combinations(splits.values(), 2):
        assert not {source for source, _ in one} & {source for source, _ in other}


def test_symbol_tasks_are_what_they_are_called() -> None:
    rules = {
        "reverse": lambda items: items[::-1],
        "sort": sorted,
        "swap": lambda items: items[-(len(items) // 2) :] + items[: -(len(items) // 2)],
        "sub": lambda items: [9 - item for item in items],
        "copy": list,
    }
    for name, rule in rules.items():
        for source, target in generate(name, {"train": 100, "valid": 1, "test": 1})["train"]:
            assert list(map(int, target.split())) == rule(list(map(int, source.split())))
    for source, target in generate("recall", {"train": 100, "valid": 1, "test": 1})["train"]:
        *listed, asked = source.split()
        assert dict(zip(listed[::2], listed[1::2], strict=True))[asked] == target


def test_sizes_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ValueError, match="hardly more than"):
        generate("copy", {"symbols": 2, "shortest": 2, "longest": 3, "train": 100})
    with pytest.raises(ValueError, match="options do not fit"):
        generate("copy", {"lenght": 3})
    with pytest.raises(ValueError, match="keys=4"):
        generate("recall", {"keys": 4, "shortest": 6, "longest": 8})


def test_the_toy_language_can_be_translated_perfectly() -> None:
    """One English sentence, one translation; and every word form tells of agreement: gender and number of the noun."""
    pairs = generate("toy_translation", {"train": 5000})["train"]
    meanings: dict[str, set[str]] = {}
    for source, target in pairs:
        meanings.setdefault(source, set()).add(target)
    assert all(len(translations) == 1 for translations in meanings.values())
    english = {word for source, _ in pairs for word in source.split()}
    invented = {word for _, target in pairs for word in target.split()}
    assert 200 < len(english) < len(invented) < 600
    # The verb agrees with its subject across an attractor: the last word but a particle ends as the subject demands.
    plural = [target for source, target in pairs if source.startswith("these ") and " did " not in source]
    assert all(target.removesuffix(" pat").endswith(("ent", "ivan")) for target in plural)


def test_the_built_in_text_is_split_by_topic_without_overlap() -> None:
    splits = python_docs()
    assert splits == python_docs()
    sizes = {split: sum(map(len, documents)) for split, documents in splits.items()}
    total = sum(sizes.values())
    assert sizes["train"] > 0.85 * total and all(0.02 * total < sizes[s] < 0.08 * total for s in ("valid", "test"))
    lines = {s: {line.strip() for text in splits[s] for line in text.split("\n") if len(line) > 60} for s in splits}
    for split in ("valid", "test"):
        assert len(lines[split] & lines["train"]) < 0.05 * len(lines[split])
