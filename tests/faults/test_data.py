"""Text that is not what it should be: prepared as it is, or refused in one sentence that says where and what to do."""

import gzip
import hashlib
import json
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations import learner, record, run
from ablations.compose import CONF
from ablations.rescore import rescore
from data import files
from data.build import ArrayWriter
from data.config import TOKENIZERS, CorpusConfig, TaskConfig, TokenizerConfig
from data.corpora import open_corpus
from data.files import MissingCorpusError, find, read_lines, read_text
from data.hub import is_local
from data.prepare import prepare
from data.prepared import MANIFEST, Prepared, checksum
from data.tokenizer import Characters
from tests.ablations.cells import config
from tests.data.helpers import labelled_task, left, parallel_task, text_task, write
from tests.data.test_prepare import fingerprints

ROOT = CONF.parent
PROSE = "The first line has more than ten words in it, as this shows.\n  Zwei Wörter\n\n" * 20
# What other readers divide lines at, take for white space, or stumble over; and what tokenizers use as marks.
ODD = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\u00a0\u3000\u200b\ufeff\u2581\ufffd\t \"',\\<>&é\u0301ß漢🙂\U0010ffff"
MARKS = ("<s>", "</s>", "<unk>", "<pad>", "<0x0A>", "null", "NA", '"', "\\n", "")


@pytest.fixture
def one_thread():
    torch.set_num_threads(1)


def odd_line(draw: random.Random) -> str:
    """Letters, odd characters and marks; no CR at its end, which would be part of the line's end."""
    pieces = [
        draw.choice([draw.choice(ODD), draw.choice(MARKS), draw.choice("abc ")]) for _ in range(draw.randint(0, 12))
    ]
    return "".join(pieces).rstrip("\r")


def refused(task: TaskConfig, folder: Path, words: str) -> None:
    """In one sentence, with nothing left behind that could be taken for the prepared text."""
    with pytest.raises(ValueError, match=words) as told:
        prepare(task, str(folder), str(folder / "cache"))
    assert "\n" not in str(told.value)
    assert [name for home in (folder / "cache").glob("*/*") for name in left(home)] == []


def lm(train: str, valid: str = "v.txt", tokenizer: str = "bytes", **more: object) -> TaskConfig:
    corpus = CorpusConfig(files={"train": train, "valid": valid})
    return TaskConfig("lm", "language_modeling", corpus, TokenizerConfig(tokenizer, **more), test=[])  # type: ignore[arg-type]


def pairs(folder: Path, source: str | bytes, target: str | bytes) -> TaskConfig:
    """Bytes as tokens; the same two files for train, valid and test."""
    write(folder / "a", source), write(folder / "b", target)
    both = {split: {"source": "a", "target": "b"} for split in ("train", "valid", "test")}
    return TaskConfig("pairs", "translation", CorpusConfig(files=both), TokenizerConfig("bytes"))


@pytest.mark.fault("parallel files of unequal length")
def test_unequal_files_are_never_paired(tmp_path, trials):
    for number in trials(full=50, quick=5):
        lines = [f"line {i}" for i in range(trials.random.randint(2, 40))]
        fewer = lines[: trials.random.randint(1, len(lines) - 1)]
        sides = trials.random.sample([lines, fewer], 2)
        task = pairs(tmp_path / str(number), *("\n".join(side) + trials.random.choice(["", "\n"]) for side in sides))
        refused(task, tmp_path / str(number), rf"a has {len(sides[0])} lines, .*b has {len(sides[1])}; line i of one")


NOT_UTF8 = {
    "latin-1": "é".encode("latin-1"),
    "UTF-16": "text".encode("utf-16"),
    "surrogate": "\ud800".encode("utf-8", "surrogatepass"),
    "CESU-8": b"\xed\xa0\xbd\xed\xb8\x80",
    "overlong": b"\xc0\xaf",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "cut off": "🙂".encode()[:3],
}


@pytest.mark.fault("bytes that are not UTF-8")
@pytest.mark.parametrize("kind", NOT_UTF8)
def test_other_encodings_are_refused_with_the_line(kind, tmp_path, trials):
    for number in trials(full=20, quick=2):
        before = trials.random.randint(0, 30)
        bad = b"caf\xc3\xa9\n" * before + b"x " + NOT_UTF8[kind] + b"\nmore\n"
        name = f"t{number}.txt" + trials.random.choice(["", ".gz"])
        write(tmp_path / name, bad), write(tmp_path / "v.txt", PROSE)
        refused(lm(name), tmp_path, rf"{name} is not UTF-8: line {before + 1} holds the byte 0x")


@pytest.mark.fault("zero bytes in a text")
def test_zeros_are_refused_with_the_line(tmp_path, trials):
    """UTF-16 without its mark is valid UTF-8; and blocks that a crash left unwritten read as zeros."""
    write(tmp_path / "v.txt", PROSE)
    write(tmp_path / "t.txt", "plain text\n".encode("utf-16-le"))
    refused(lm("t.txt"), tmp_path, "t.txt is no text: line 1 holds a zero byte")
    for _ in trials(full=20, quick=2):
        whole = PROSE.encode()
        start = trials.random.randrange(len(whole))
        write(tmp_path / "t.txt", whole[:start] + bytes(len(whole) - start))
        refused(lm("t.txt"), tmp_path, rf"line {whole.count(10, 0, start) + 1} holds a zero byte")


@pytest.mark.fault("byte-order mark, CRLF, separators inside lines")
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_odd_characters_stand_for_themselves(kind, tmp_path, trials):
    """Lines end at a line feed, a CR before it belongs to it, and nothing else is touched: text goes there and back."""
    vocabulary = {"sentencepiece": 320, "words": None}.get(kind, 4000)
    for number in trials(full=60, quick=2):
        draw, folder = trials.random, tmp_path / str(number)
        sides = [["first", *(odd_line(draw) + "x" for _ in range(60))] for _ in range(2)]
        end, mark, last = draw.choice(["\n", "\r\n"]), draw.choice(["", "\ufeff"]), draw.choice([True, False])
        names = [f"{side}{draw.choice(['', '.gz'])}" for side in "ab"]
        for name, lines in zip(names, sides, strict=True):
            write(folder / name, mark + end.join(lines) + end * last)
        assert [read_lines(find(name, str(folder))) for name in names] == sides
        both = {"source": names[0], "target": names[1]}
        corpus = CorpusConfig(files={"train": both, "valid": both, "test": both})
        task = TaskConfig("odd", "translation", corpus, TokenizerConfig(kind, vocab_size=vocabulary))
        prepared = prepare(task, str(folder), str(folder / "cache"))
        assert [prepared.lines("test", side) for side in ("source", "target")] == sides
        for side, lines in zip(("source", "target"), sides, strict=True):
            flat, offsets = prepared.side("test", side)
            back = [
                prepared.tokenizer.decode(flat[a:b].tolist()) for a, b in zip(offsets[:-1], offsets[1:], strict=True)
            ]
            if prepared.facts["splits"]["test"]["lossless"]:
                assert back == lines
            else:
                assert kind == "words" or (kind == "characters" and Characters.unknown in "".join(sum(sides, [])))
        write(folder / "c", "\n".join(sides[0])), write(folder / "d", "\n".join(sides[1]) + "\n")
        plain = dict.fromkeys(("train", "valid", "test"), {"source": "c", "target": "d"})
        same = TaskConfig("odd", "translation", CorpusConfig(files=plain), task.tokenizer)
        assert open_corpus(same, str(folder)).content() == prepared.manifest["content"], "whatever ends the lines"


LONG = """
import resource, sys
from tests.faults.test_data import prepare_long
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
prepare_long(*sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def prepare_long(kind: str, folder: str) -> Prepared:
    both = {"train": "t.txt", "valid": "v.txt"}
    if kind == "translation":
        both = {"train": {"source": "t.txt", "target": "p.txt"}, "valid": {"source": "v.txt", "target": "v.txt"}}
    task = TaskConfig("long", kind, CorpusConfig(files=both), TokenizerConfig(vocab_size=320), test=[], context=64)
    return prepare(task, folder, folder + "/cache")


@pytest.mark.fault("a line of 10 MB")
@pytest.mark.parametrize("kind", ["language_modeling", "translation"])
def test_a_very_long_line_is_prepared(kind, tmp_path, trials):
    """The short round has one of 300 kB. SentencePiece leaves such lines out of its vocabulary without a word."""
    size = 10_000_000 if trials.full else 300_000
    line = " ".join("".join(trials.random.choices("abcdefgж", k=5)) for _ in range(size // 6))
    write(tmp_path / "t.txt", PROSE + line + "\n"), write(tmp_path / "v.txt", PROSE)
    write(tmp_path / "p.txt", PROSE + "short\n")
    if trials.full:
        command = [sys.executable, "-c", LONG, kind, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and int(done.stdout) < 1500, (done.stdout, done.stderr)  # megabytes
    prepared = prepare_long(kind, str(tmp_path))
    facts = prepared.facts["splits"]["train"]
    assert facts["lossless"] and len(prepared.tokenizer.encode("ж")) < 3, "a letter that only it has is no bytes"
    if kind == "translation":
        assert (facts["pairs"], facts["blank"], facts["dropped"]) == (41, 20, 1)
    else:
        assert facts["bytes"] == len((PROSE + line + "\n").encode())


@pytest.mark.fault("empty files, blank lines, an empty side")
def test_nothing_to_learn_from_is_refused_or_left_out(tmp_path, trials):
    """Of training, counted; never out of a test set, where every hypothesis has its line."""
    write(tmp_path / "v.txt", PROSE)
    for number, blank in enumerate([b"", b"\n", b" \n\t\r\n\n", b"\xef\xbb\xbf", "\u2028\u3000\n".encode()]):
        write(tmp_path / f"{number}.txt", blank), write(tmp_path / f"{number}.txt.gz", blank)
        for name in (f"{number}.txt", f"{number}.txt.gz"):
            refused(lm(name), tmp_path, rf"{name} is empty: a corpus needs at least one line of text")
    for number in trials(full=50, quick=5):
        folder, draw = tmp_path / f"pairs{number}", trials.random
        sides = [[draw.choice(["some words", "", " ", "\u3000", "x"]) for _ in range(30)] + ["end"] for _ in range(2)]
        task = pairs(folder, *("\n".join(side) + "\n" for side in sides))
        prepared = prepare(task, str(folder), str(folder / "cache"))
        whole = sum(bool(a.strip() and b.strip()) for a, b in zip(*sides, strict=True))
        splits = prepared.facts["splits"]
        assert (splits["train"]["pairs"], splits["train"]["blank"]) == (whole, 31 - whole)
        assert (splits["test"]["pairs"], splits["test"]["blank"]) == (31, 0)
        assert [prepared.lines("test", side) for side in ("source", "target")] == sides


@pytest.mark.fault("a folder, a pipe or a device in place of a text")
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, monkeypatch, capsys):
    write(tmp_path / "v.txt", PROSE)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("folder", "a folder"), ("pipe", "a pipe or a device"), ("/dev/zero", "a pipe or a device")):
        refused(lm(name), tmp_path, rf"{name} is {what}, not a file")
    asked = ["task=text", f"task.corpus.files.train={tmp_path}/pipe", f"task.corpus.files.valid={tmp_path}/v.txt"]
    monkeypatch.setattr(sys, "argv", ["prepare.py", *asked, "task.test=[]", f"paths.cache={tmp_path}/cache"])
    with pytest.raises(SystemExit) as left_with:
        runpy.run_path(str(ROOT / "scripts/prepare.py"), run_name="__main__")
    told = capsys.readouterr().err
    assert left_with.value.code == 1
    assert told == f"error: {tmp_path}/pipe is a pipe or a device, not a file: name a file\n"


@pytest.mark.fault("a gzip file that is cut off or damaged")
def test_a_damaged_gzip_file_is_refused(tmp_path, trials):
    """What comes out of it is the text that went in, or nothing."""
    whole = gzip.compress(PROSE.encode(), mtime=0)
    for _ in trials(full=500, quick=50):
        place, damaged = trials.random.randrange(1, len(whole)), bytearray(whole)
        if trials.random.random() < 0.5:
            damaged = damaged[:place]
        else:
            damaged[place] ^= 1 << trials.random.randrange(8)
        (tmp_path / "t.gz").write_bytes(damaged)
        try:
            assert read_text(tmp_path / "t.gz") == PROSE, "the header's time and name may change"
        except ValueError as told:
            assert "is not a whole gzip file" in str(told) and "\n" not in str(told)


BOMB = """
import resource, sys
from pathlib import Path
from data.files import read_text
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
try:
    read_text(Path(sys.argv[1]))
except ValueError as told:
    print(told)
"""


@pytest.mark.fault("a gzip bomb")
def test_a_gzip_bomb_is_let_be(tmp_path, monkeypatch, trials):
    """The small round makes the bound small; the long one lets a real one, of 4 GiB, meet the real bound in 3 GiB."""
    bomb = tmp_path / "t.txt.gz"
    with gzip.open(bomb, "wb", 9) as file:  # a thousand times its size
        for _ in range(256 if trials.full else 1):
            file.write(b"a" * (1 << 24))
    if trials.full:
        done = subprocess.run([sys.executable, "-c", BOMB, str(bomb)], cwd=ROOT, capture_output=True, text=True)
        assert "unpacks to more than 1,073,741,824 bytes" in done.stdout, done.stderr
    monkeypatch.setattr(files, "ROOM", 1 << 16)
    for _ in trials(full=1, quick=1):
        with pytest.raises(ValueError, match=r"200 times its size, as no text does: unpack it yourself"):
            read_text(bomb)
        write(tmp_path / "u.txt.gz", "".join(trials.random.choices("abc \n", k=1 << 18)))
        assert len(read_text(tmp_path / "u.txt.gz")) == 1 << 18, "a text beyond the bound, but packed as texts are"


@pytest.mark.fault("test sentences that stand in the training text")
@pytest.mark.usefixtures("one_thread")
def test_sentences_of_train_are_counted_in_the_record(tmp_path):
    """In pairs, equal pairs; a source with another translation is another pair."""
    lines = [[f"{side} number {i}" for i in range(40)] for side in ("source", "target")]
    shifted = [lines[0][:8], [*lines[1][:5], "other", "other", "other"]]
    for name, both in (("train", lines), ("test", shifted)):
        for side, some in zip("ab", both, strict=True):
            write(tmp_path / f"{name}.{side}", "\n".join(some * 2) + "\n")
    chosen = parallel_words(tmp_path, {"train": "train", "valid": "test", "test": "test"})
    run.run(config(tmp_path / "cache", tmp_path / "results", task=chosen), [])
    [entry] = record.load_all(tmp_path / "results")
    assert entry["data"]["duplicates"] == {"test": 10, "valid": 10}, "5 pairs, twice"


def parallel_words(folder: Path, names: dict[str, str], *more: str) -> list[str]:
    """`task=parallel_text` of files `<name>.a` and `<name>.b`, words as tokens."""
    paths = [
        f"task.corpus.files.{split}.{side}={folder}/{name}.{end}"
        for split, name in names.items()
        for side, end in (("source", "a"), ("target", "b"))
    ]
    tokens = ["task.tokenizer.kind=words", "task.tokenizer.vocab_size=null", "task.context=8"]
    return ["task=parallel_text", "task.corpus.fractions={}", *paths, *tokens, *more]


@pytest.mark.fault("a table with wrong columns")
def test_wrong_tables_are_refused_with_the_line(tmp_path, trials):
    task = labelled_task(tmp_path)
    path = tmp_path / "toy/train.tsv.gz"
    header, *rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    for _ in trials(full=50, quick=4):
        place = trials.random.randrange(len(rows))
        changes = {
            lambda row: row.replace("\t", " "): f"line {place + 2} has 1 columns, not 2",
            lambda row: row + "\tmore": f"line {place + 2} has 3 columns, not 2",
            lambda row: " \t" + row.split("\t")[1]: f"line {place + 2} has no label",
            lambda row: "": f"line {place + 2} has 1 columns, not 2",
        }
        change, words = trials.random.choice(list(changes.items()))
        damaged = [*rows[:place], change(rows[place]), *rows[place + 1 :]]
        write(path, "\n".join([header, *damaged]) + "\n")
        refused(task, tmp_path, words)
    for names, words in (("label\ttext", "no columns 'sentence'"), ("label\tlabel\tsentence", "has 2 columns 'label'")):
        write(path, "\n".join([names, *rows]) + "\n")
        refused(task, tmp_path, words)


def halfway(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> list[str]:
    """A run on files in `folder`, told to stop after three of six steps; what it was asked."""
    for side in "ab":
        write(folder / f"train.{side}", "".join(f"{side} {i} {i % 7}\n" for i in range(200)))
        write(folder / f"test.{side}", "".join(f"{side} {i} {i % 5}\n" for i in range(20)))
    words = parallel_words(folder, {"train": "train", "valid": "test", "test": "test"}, "trainer.steps=6", *more)
    step, taken = learner.Alone.step, []

    def told(self, batches, rates):
        taken.append(rates)
        if len(taken) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batches, rates)

    with monkeypatch.context() as patched:
        patched.setattr(learner.Alone, "step", told)
        with pytest.raises(SystemExit):
            run.run(config(folder / "cache", folder / "results", task=words), [])
    return words


def change_word(folder: Path) -> None:
    path = folder / "train.a"
    path.write_text(path.read_text().replace("a 7 0", "a 0 7", 1))


def change_vocabulary(folder: Path) -> None:
    path = folder / "train.a"
    path.write_text(path.read_text().replace("a 7 0", "a 7 new", 1))


def change_test(folder: Path) -> None:
    path = folder / "test.b"
    path.write_text(path.read_text().replace("b 7 2", "b 7 3", 1))


def change_tokenizer(folder: Path) -> None:
    """Two words change their numbers, and the folder is whole: as if another version of a library had made it."""
    [prepared] = [path.parent for path in (folder / "cache").rglob(MANIFEST)]
    saved = json.loads((prepared / "tokenizer.json").read_text())
    saved["symbols"][:2] = reversed(saved["symbols"][:2])
    sign_again(prepared, {"tokenizer.json": json.dumps(saved, ensure_ascii=False).encode()})


def sign_again(prepared: Path, changed: dict[str, bytes], **more: object) -> None:
    """Other files in a prepared folder, and a manifest that fits them."""
    manifest = json.loads((prepared / MANIFEST).read_text())
    del manifest["checksum"]
    for name, content in changed.items():
        (prepared / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"sha256": digest, "bytes": len(content)}
        if name == "tokenizer.json":
            manifest["tokenizer"]["digest"] = digest
    manifest |= more
    (prepared / MANIFEST).write_text(json.dumps(manifest | {"checksum": checksum(manifest)}))


@pytest.mark.fault("a text or tokenizer changed between start and resume")
@pytest.mark.parametrize("change", [change_word, change_vocabulary, change_test, change_tokenizer])
@pytest.mark.usefixtures("one_thread")
def test_another_text_does_not_go_on_with_a_run(change, tmp_path, monkeypatch):
    """Also where vocabularies have one size, and also where they have not, and torch would speak first."""
    words = halfway(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("checkpoint-*") if path.is_file()}
    assert before
    change(tmp_path)
    with pytest.raises(ValueError, match=r"stopped in the middle of another text .*: restore that text") as told:
        run.run(config(tmp_path / "cache", tmp_path / "results", task=words), [])
    assert "\n" not in str(told.value)
    assert all(path.read_bytes() == content for path, content in before.items()), "nothing is lost"
    assert [entry for entry in record.load_all(tmp_path / "results") if entry["status"] == "finished"] == []


@pytest.mark.fault("a text or tokenizer changed between training and scoring")
@pytest.mark.parametrize("change", [change_word, change_test, change_tokenizer])
@pytest.mark.usefixtures("one_thread")
def test_another_text_is_not_scored(change, tmp_path, monkeypatch):
    """Neither by evaluate.py nor by who asks for the run again."""
    words = halfway(tmp_path, monkeypatch)
    run.run(config(tmp_path / "cache", tmp_path / "results", task=words), [])
    [file] = (tmp_path / "results/records").rglob("*.json")
    kept = file.read_bytes()
    rescore(file, ["test"], {}, None, "cpu")
    change(tmp_path)
    with pytest.raises(ValueError, match="was made from another text"):
        rescore(file, ["test"], {}, None, "cpu")
    with pytest.raises(ValueError, match="was made from another text .*: give the new text a name of its own"):
        run.run(config(tmp_path / "cache", tmp_path / "results", task=words), [])
    assert file.read_bytes() == kept


@pytest.mark.fault("a text that changes while it is prepared")
@pytest.mark.parametrize("tokenizer", ["words", "sentencepiece"])
def test_a_text_that_changes_meanwhile_is_refused(tokenizer, tmp_path, monkeypatch, trials):
    """Changed before any reading, and sometimes changed back: no vocabulary of one text with integers of another.

    Where all readings met one text, what is prepared is what that text gives when nothing changes.
    """
    old, new = PROSE * 3, (PROSE * 3).replace("Zwei Wörter", "drei Dinge", 7)
    size = {"words": None, "sentencepiece": 300}[tokenizer]
    task = lm("t.txt", tokenizer=tokenizer, vocab_size=size)
    write(tmp_path / "v.txt", PROSE)
    undisturbed = set()
    for text in (old, new):
        write(tmp_path / "t.txt", text)
        undisturbed.add(
            prepare(lm("t.txt", tokenizer=tokenizer, vocab_size=size), str(tmp_path), str(tmp_path / "c")).digest
        )
    read, met = files.read_text, {"refused": 0, "prepared": 0}
    for number in trials(full=60, quick=5):
        change, back = sorted(trials.random.sample(range(1, 7), 2))
        write(tmp_path / "t.txt", old)
        readings = 0

        def reading(path, change=change, back=back):
            nonlocal readings
            if path.name == "t.txt":
                readings += 1
                if readings in (change, back):
                    write(path, new if readings == change else old)
            return read(path)

        with monkeypatch.context() as patched:
            patched.setattr(files, "read_text", reading)
            try:
                prepared = prepare(task, str(tmp_path), str(tmp_path / str(number)))
            except ValueError as told:
                assert "the train text changed while it was being prepared: ask again" in str(told)
                [home] = (tmp_path / str(number)).glob("*/*")
                assert left(home) == []
                met["refused"] += 1
            else:
                assert prepared.digest in undisturbed
                met["prepared"] += 1
    assert met["refused"] > 0


def damage(path: Path, draw: random.Random) -> str:
    """In one of the ways that disks and people have."""
    whole = path.read_bytes()
    how = draw.choice(["cut", "flip", "remove", "empty", "longer", "zeros"])
    if how == "remove":
        path.unlink()
    elif how == "cut":
        os.truncate(path, 2 * draw.randrange(len(whole) // 2))
    elif how == "flip":
        changed = bytearray(whole)
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
    else:
        path.write_bytes({"empty": b"", "longer": whole + b"\n}", "zeros": bytes(len(whole))}[how])
    return how


@pytest.mark.fault("a prepared folder that is damaged")
@pytest.mark.parametrize("kind", ["language_modeling", "translation", "classification"])
def test_a_damaged_folder_is_built_again_or_named(kind, tmp_path, trials):
    """Any file, in any way: with the text at hand the folder is as it was, without it it is refused, and never used."""
    if kind == "language_modeling":
        task = text_task(tmp_path, PROSE, kind="characters")
    else:
        make = {"translation": parallel_task, "classification": labelled_task}[kind]
        task = make(tmp_path, 60, kind="words", vocab_size=None)
    cache = str(tmp_path / "cache")
    folder = prepare(task, str(tmp_path), cache).folder
    whole = fingerprints(folder)
    for _ in trials(full=200, quick=8):
        name = trials.random.choice(sorted(whole))
        damage(folder / name, trials.random)
        with pytest.raises(ValueError, match=rf"{folder} is damaged: .*{name}.*, and its source is not here"):
            prepare(task, str(tmp_path / "nowhere"), cache)
        prepare(task, str(tmp_path), cache)
        assert fingerprints(folder) == whole and left(folder.parent) == [folder.name]


@pytest.mark.fault("a manifest that was edited")
def test_an_edited_manifest_is_damage(tmp_path, trials):
    """Counts of words turn losses into perplexities."""
    task = text_task(tmp_path, PROSE)
    cache = str(tmp_path / "cache")
    folder = prepare(task, str(tmp_path), cache).folder
    text = (folder / MANIFEST).read_text()
    digits = [place for place, character in enumerate(text) if character.isdigit()]
    for _ in trials(full=100, quick=5):
        edited = text
        while json.loads(edited) == json.loads(text):
            place = trials.random.choice(digits)
            edited = text[:place] + str((int(text[place]) + trials.random.randint(1, 8)) % 9 + 1) + text[place + 1 :]
        (folder / MANIFEST).write_text(edited)
        with pytest.raises(ValueError, match=rf"is damaged: no sound {MANIFEST}"):
            prepare(task, str(tmp_path / "nowhere"), cache)
        prepare(task, str(tmp_path), cache)
        assert (folder / MANIFEST).read_text() == text


@pytest.mark.fault("another task's prepared folder in its place")
def test_a_folder_of_another_task_or_text_is_not_used(tmp_path):
    """Whole and signed, it was copied where another one belongs: other settings, another text, both."""
    cache = str(tmp_path / "cache")
    task, other = text_task(tmp_path, PROSE), text_task(tmp_path, PROSE, kind="characters")
    mine, theirs = (prepare(one, str(tmp_path), cache).folder for one in (task, other))
    whole = fingerprints(mine)
    text_task(tmp_path / "else", PROSE * 2)
    elsewhere = prepare(task, str(tmp_path / "else"), str(tmp_path / "cache2")).folder
    for source, target in ((theirs, mine), (elsewhere, mine)):
        shutil.rmtree(mine)
        shutil.copytree(source, target)
        with pytest.raises(ValueError, match=r"is damaged: .*prepared as \w+/\w+, for another task or text"):
            prepare(task, str(tmp_path / "nowhere"), cache)
        assert fingerprints(prepare(task, str(tmp_path), cache).folder) == whole


@pytest.mark.fault("numbers that the array's type cannot hold")
def test_numbers_beyond_the_type_are_never_wrapped_round(tmp_path):
    """70,000 would become 4,464: a vocabulary that large has wider numbers."""
    words = [f"w{i}" for i in range(70_000)]
    write(tmp_path / "t.txt", " ".join(words) + "\n"), write(tmp_path / "v.txt", " ".join(words[-3:]) + "\n")
    prepared = prepare(lm("t.txt", tokenizer="words", vocab_size=None), str(tmp_path), str(tmp_path / "cache"))
    assert prepared.stream("train").max() >= 70_000
    assert prepared.tokenizer.decode(prepared.stream("train")[1:].tolist()).split() == words
    writer = ArrayWriter(tmp_path / "a.npy", np.uint16)
    with pytest.raises(OverflowError):
        writer.extend([1, 70_000])


@pytest.mark.fault("a corpus name that leaves its folder")
@pytest.mark.parametrize("kind", ["files", "data set"])
def test_names_stay_in_their_folder(kind, tmp_path, monkeypatch):
    """By dots, or by characters that no name should have. Links are followed: corpora are often laid out so."""
    pool = tmp_path / "pool"
    write(pool / "v.txt", PROSE), write(tmp_path / "secret/s.txt", PROSE), write(tmp_path / "secret/t.txt.gz", PROSE)
    (pool / "inside").mkdir()
    (pool / "link").symlink_to(tmp_path / "secret")
    (pool / "l.txt").symlink_to(tmp_path / "secret/s.txt")
    (pool / "m.txt.gz").symlink_to(tmp_path / "secret/t.txt.gz")
    (pool / "own.txt").symlink_to("v.txt")
    (tmp_path / "pool2").symlink_to(pool)
    if kind == "data set":
        monkeypatch.chdir(pool)
        for name in ("../secret", "inside/../../secret", "link/../../secret"):
            task = TaskConfig(corpus=CorpusConfig(hub=name, hub_splits={"train": "train", "valid": "train"}), test=[])
            refused(task, tmp_path, f"{name} leads out of {pool}, to {tmp_path}/secret: give that absolute path")
        assert is_local(CorpusConfig(hub="link")) and is_local(CorpusConfig(hub="link/../inside"))
        return
    for name in ("../secret/s.txt", "inside/../../secret/s.txt", "link/../../secret/s.txt", "../secret/t.txt"):
        with pytest.raises(ValueError, match=r"leads out of .*pool, to .*secret/.*: give that absolute path") as told:
            prepare(lm(name), str(pool), str(tmp_path / "cache"))
        assert "\n" not in str(told.value)
    for name in ("v.txt\0.gz", "v\n.txt", "\x1b[2Jv.txt", "v.txt\x7f", "/etc/\nx"):
        with pytest.raises(ValueError, match="holds a control character") as told:
            prepare(lm(name), str(pool), str(tmp_path / "cache"))
        assert str(told.value).isprintable()
    for name in ("inside/../v.txt", "own.txt", "link/s.txt", "l.txt", "m.txt", "link/t.txt", "link/../v.txt"):
        assert read_text(find(name, str(pool))) == read_text(find(name, str(tmp_path / "pool2"))) == PROSE
    assert read_text(find(str(tmp_path / "secret/s.txt"), str(pool))) == PROSE, "whoever says it means it"
    with pytest.raises(MissingCorpusError):
        find("none.txt", str(pool))


@pytest.mark.fault("a loading script in a data set's folder")
def test_no_program_in_a_data_set_is_run(tmp_path):
    """Neither a script that has the folder's name nor a pickle, also where text stands beside it."""
    pytest.importorskip("datasets")
    folder, ran = tmp_path / "set", tmp_path / "ran"
    script = f"import pathlib\npathlib.Path({str(ran)!r}).touch()\n"
    for name in ("set.py", "dataset.py", "train.py"):
        write(folder / name, script)
    write(folder / "train.pkl", b"cposix\nsystem\n(S'touch " + str(ran).encode() + b"'\ntR.")
    task = TaskConfig(corpus=CorpusConfig(hub=str(folder), hub_splits={"train": "train", "valid": "train"}), test=[])
    task.corpus.max_documents = {"train": 2}
    task.tokenizer = TokenizerConfig("bytes")
    with pytest.raises(ValueError, match="could not be (loaded|reached)") as told:
        prepare(task, None, str(tmp_path / "cache"))
    assert "\n" not in str(told.value)
    write(folder / "train.txt", "one\ntwo\nthree\n")
    with pytest.raises(ValueError, match="could not be loaded"):
        prepare(task, None, str(tmp_path / "cache"))
    (folder / "set.py").unlink()
    assert list(open_corpus(task, None).read("train")) == [("one",), ("two",)]
    assert not ran.exists()
