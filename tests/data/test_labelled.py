"""Sentences with labels, from the table to the prepared folder; what is wrong in a table is told by its line."""

import json
from pathlib import Path

import pytest

from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.corpora import open_corpus
from data.files import read_labelled
from data.prepare import prepare
from data.prepared import Prepared
from tests.data.helpers import labelled_task, write

TABLES = {
    "train": "label\tsentence\nneg\tbad film\npos\tgood\npos\t\nneg\tnot good at all\n",
    "valid": "label\tsentence\npos\tnot bad\nneg\t\n",
    "test": "label\tsentence\npos\tgood\nneg\tgood\nneg\tno good\n",
}


def prepared(folder: Path, tables: dict[str, str], **corpus: object) -> Prepared:
    for split, table in tables.items():
        write(folder / f"{split}.tsv", table)
    files = {split: f"{split}.tsv" for split in tables}
    task = TaskConfig("t", "classification", CorpusConfig(files=files), TokenizerConfig("bytes"), test=[])
    task.corpus.columns = {"text": "sentence"}
    for key, value in corpus.items():
        setattr(task.corpus, key, value)
    return prepare(task, str(folder), str(folder / "cache"))


def test_a_table_is_read_by_its_column_names(tmp_path: Path) -> None:
    """Wherever the columns stand; quotation marks, commas and what else tables know as special are text."""
    rows = [('"quoted', "0"), ("a, b", "1"), ("null", "0"), ("", "1"), ("a\rb \u2028 ", "1")]
    table = "id\tsentence\tlabel\r\n" + "".join(f"{n}\t{text}\t {label}\r\n" for n, (text, label) in enumerate(rows))
    assert list(read_labelled(write(tmp_path / "a.tsv.gz", table), "sentence", "label")) == rows


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("label\ttext\n0\ta\n", "has no columns 'sentence' among 'label', 'text'.*task.corpus.columns"),
        ("label sentence\n0\ta\n", "has no columns 'sentence' among 'label sentence'.*with tabs between"),
        ("sentence\tlabel\tsentence\na\t0\tb\n", "has 2 columns 'sentence'"),
        ("label\tsentence\n0\ta\n1 b\n", r"t\.tsv, line 3 has 1 columns, not 2"),
        ("label\tsentence\n0\ta\n\n1\tb\n", r"t\.tsv, line 3 has 1 columns, not 2"),
        ("label\tsentence\n0\ta\tb\n", r"t\.tsv, line 2 has 3 columns, not 2"),
        ("label\tsentence\n0\ta\n \tb\n", r"t\.tsv, line 3 has no label"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        list(read_labelled(write(tmp_path / "t.tsv", table), "sentence", "label"))
    assert "\n" not in str(refused.value)


def test_facts_and_arrays_of_a_small_table_by_hand(tmp_path: Path) -> None:
    """Nothing can be learnt from an empty sentence; to evaluate it is as good as any other."""
    found = prepared(tmp_path, TABLES)
    assert found.classes == ["neg", "pos"]
    flat, offsets = found.side("train", "text")
    sentences = [flat[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert sentences == [[1, *(4 + byte for byte in text.encode())] for text in ("bad film", "good", "not good at all")]
    assert found.labels("train").tolist() == [0, 1, 0] and found.labels("valid").tolist() == [1, 0]
    assert found.lines("valid") == ["not bad", ""] and found.lengths("valid").tolist() == [[8], [1]]
    facts = found.facts
    assert facts["classes"] == {
        "train": {"neg": 2, "pos": 1},
        "valid": {"neg": 1, "pos": 1},
        "test": {"neg": 2, "pos": 1},
    }
    train, test = facts["splits"]["train"], facts["splits"]["test"]
    assert (train["examples"], train["blank"], train["words"], train["tokens"]) == (3, 1, 7, 27 + 3)
    assert (test["examples"], test["blank"], test["truncated"]) == (3, 0, 0)
    assert facts["duplicates"] == {"test": 1, "valid": 0}, "the same sentence with the other label is another example"
    json.dumps(facts)


def test_the_vocabulary_is_of_sentences_without_labels(tmp_path: Path) -> None:
    task = labelled_task(tmp_path)
    found = prepare(task, str(tmp_path), str(tmp_path / "cache"))
    assert found.tokenizer.encode("positive negative label") == [3, 3, 3]
    assert found.facts["splits"]["train"]["lossless"] and found.facts["splits"]["train"]["unknown"] == 0


@pytest.mark.parametrize(("split", "line"), [("valid", 3), ("test", 4)])
def test_a_label_that_training_lacks_is_refused_by_file_and_line(tmp_path: Path, split: str, line: int) -> None:
    lines = TABLES[split].split("\n")
    lines[line - 1] = "neutral\t" + lines[line - 1].split("\t")[1]
    with pytest.raises(ValueError, match=rf"{split}\.tsv, line {line} has the label 'neutral'.*neg, pos"):
        prepared(tmp_path, TABLES | {split: "\n".join(lines)})
    assert not list((tmp_path / "cache").rglob("*.npy")), "nothing half made is left"


def test_a_label_only_of_empty_sentences_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only the classes \['neg'\]: a classifier needs two"):
        prepared(tmp_path, TABLES | {"train": "label\tsentence\nneg\tbad\npos\t\n"})


def test_shares_of_one_table_keep_the_line_numbers(tmp_path: Path) -> None:
    rows = ["ab"[i % 2] + f"\ts{i}\n" for i in range(20)]
    shares = {"train": 0.5, "valid": 0.25, "test": 0.25}
    found = prepared(tmp_path, {"all": "label\tsentence\n" + "".join(rows)}, fractions=shares)
    assert found.lines("valid") == [f"s{i}" for i in range(10, 15)]
    rows[16] = "c\ts16\n"
    with pytest.raises(ValueError, match=r"all\.tsv, line 18 has the label 'c'"):
        prepared(tmp_path, {"all": "label\tsentence\n" + "".join(rows)}, fractions=shares)


def test_a_data_set_gives_the_integers_that_its_tables_give(tmp_path: Path) -> None:
    """Labels there are numbers, here text; a folder of Parquet stands for the hub."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    tables = {split: table.replace("neg", "0").replace("pos", "1") for split, table in TABLES.items()}
    by_files = prepared(tmp_path / "files", tables)
    (tmp_path / "set").mkdir()
    for split, table in tables.items():
        rows = [dict(zip(("label", "sentence"), line.split("\t"), strict=True)) for line in table.split("\n")[1:-1]]
        whole = datasets.Dataset.from_list([{**row, "label": int(row["label"])} for row in rows])
        whole.to_parquet(str(tmp_path / f"set/{split}.parquet"))
    hub = {"hub": str(tmp_path / "set"), "hub_splits": {"train": "train", "valid": "validation", "test": "test"}}
    by_hub = prepared(tmp_path / "hub", {}, **hub)
    assert by_hub.digest == by_files.digest and by_hub.classes == ["0", "1"]


def test_a_row_without_a_label_is_refused(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    (tmp_path / "set").mkdir()
    whole = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, None]})
    whole.to_parquet(str(tmp_path / "set/train.parquet"))
    corpus = CorpusConfig(hub=str(tmp_path / "set"), hub_splits={"train": "train"})
    rows = open_corpus(TaskConfig(kind="classification", corpus=corpus), None).read("train")
    assert next(rows) == ("a", "1")
    with pytest.raises(ValueError, match="row 2 of split train .* has no label"):
        next(rows)
