"""Text to a prepared folder: tokenizer, arrays, evaluation text, manifest.

Built under another name and renamed into place, so a folder is either whole or absent. Where `data.turn` cannot keep
several processes from building at once, one rename wins, and the others use the winner's folder.
"""

import json
import math
import os
import shutil
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from data.batch import BOS, EOS, UNK
from data.config import TaskConfig
from data.corpora import ContentDigest, Corpus, Item
from data.owner import own_path
from data.prepared import FORMAT, MANIFEST, Prepared, checksum, sha256
from data.repeats import Repeats
from data.tokenizer import Tokenizer, train_tokenizer

TOKENIZER_CHARACTERS = 100_000_000  # at most so many characters teach the tokenizer
BLOCK = 1 << 20  # characters of a document encoded at once
BUFFER = 1 << 20  # bytes of numbers written at once


def build(task: TaskConfig, corpus: Corpus, home: Path) -> Prepared:
    """The folder `home`/<digest of the text>, written from the corpus unless another process was faster."""
    folder = own_path(home, "building")
    folder.mkdir(parents=True)
    try:
        content = _write(task, corpus, folder)
        return _publish(folder, home / content, task)
    except OSError as error:  # of a full disk Python does not say where it is
        error.filename = error.filename or str(home)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path, task: TaskConfig) -> Prepared:
    """Move a finished folder into place; where another process was faster, take its folder."""
    for _ in range(10):
        try:
            folder.rename(target)
        except OSError:  # the target exists
            if (prepared := Prepared.find(target, task)) is not None:
                return prepared
            aside = own_path(target.parent, "damaged")
            try:
                target.rename(aside)
            except OSError:
                continue  # another process moved it first
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return Prepared.open(target, task)
    raise ValueError(f"could not write {target}: remove it and try again")


def _write(task: TaskConfig, corpus: Corpus, folder: Path) -> str:
    """Tokenizer, arrays, evaluation text and manifest; returns the content digest."""
    tokenizer = train_tokenizer(task.tokenizer, _tokenizer_text(task, corpus))
    saved = folder / ("tokenizer.model" if tokenizer.kind == "sentencepiece" else "tokenizer.json")
    saved.write_bytes(tokenizer.save())
    content = ContentDigest()
    repeats = Repeats()
    classes = _classes(task, corpus) if task.kind == "classification" else []
    write = {
        "language_modeling": _write_stream,
        "translation": _write_pairs,
        "classification": partial(_write_labelled, classes, corpus.place),
    }[task.kind]
    counts: dict[str, dict[str, int]] = {}
    # Evaluation splits first: what train repeats of them is then counted while train streams by.
    for split in sorted(corpus.splits, key=lambda split: split == "train"):
        counts[split] = write(folder, split, _watched(corpus, split, content, repeats), tokenizer)
        if not counts[split]["words"]:
            raise ValueError(f"the {split} text of task {task.name} is empty")
    files = {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in sorted(folder.iterdir())}
    manifest = {
        "format": FORMAT,
        "task": task.name,
        "kind": task.kind,
        "settings": folder.parent.name,
        "origin": corpus.origin,
        "content": content.hexdigest(),
        "tokenizer": {"kind": tokenizer.kind, "file": saved.name, "digest": tokenizer.digest, "size": tokenizer.size},
        "splits": {split: counts[split] for split in corpus.splits},
        "duplicates": repeats.found(),
        **({"classes": classes} if classes else {}),
        "files": files,
    }
    manifest["checksum"] = checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return manifest["content"]


def _watched(corpus: Corpus, split: str, content: ContentDigest, repeats: Repeats) -> Iterator[Item]:
    for item in corpus.read(split):
        content.add(split, item)
        repeats.add(split, item)
        yield item


def _tokenizer_text(task: TaskConfig, corpus: Corpus) -> Iterator[str]:
    """Training text for the tokenizer, all of it or, for SentencePiece, an even sample where there is too much.

    Of a streamed corpus the first documents, since a sample would mean reading it all twice.
    """

    def blocks() -> Iterator[str]:
        labels = task.kind == "classification"  # no part of the text
        return (
            block for item in corpus.read("train") for text in (item[:1] if labels else item) for block in _blocks(text)
        )

    if task.tokenizer.kind == "bytes":
        return
    if task.tokenizer.kind != "sentencepiece":
        yield from blocks()
    elif task.corpus.streaming and corpus.origin == "hub":
        left = TOKENIZER_CHARACTERS
        for block in blocks():
            yield block
            left -= len(block)
            if left <= 0:
                break
    else:
        characters = sum(map(len, blocks()))
        yield from islice(blocks(), 0, None, max(1, math.ceil(characters / TOKENIZER_CHARACTERS)))


def _blocks(text: str) -> Iterator[str]:
    """A text in parts that end in a newline and are not much longer than BLOCK."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + BLOCK) + 1 or len(text)
        yield text[start:end]
        start = end


def _write_stream(folder: Path, split: str, items: Iterator[Item], tokenizer: Tokenizer) -> dict[str, int]:
    """`<split>.text.npy`: bos, the documents, eos between them. And `<split>.text.txt`, except for train."""
    counts: dict[str, int] = dict.fromkeys(("tokens", "words", "bytes", "lines", "documents", "unknown"), 0)
    counts["lossless"] = True
    stream = ArrayWriter(folder / f"{split}.text.npy", _dtype(tokenizer))
    stream.extend([BOS])
    with _text_files(folder, split, ("text",)) as raw:
        for (document,) in items:
            if counts["documents"]:
                stream.extend([EOS])
            counts["documents"] += 1
            for block in _blocks(document):
                ids = tokenizer.encode(block)
                stream.extend(ids)
                counts["lossless"] = counts["lossless"] and tokenizer.keeps(block, ids)
                counts["unknown"] += ids.count(UNK)
                counts["words"] += len(block.split())
                counts["bytes"] += len(block.encode())
                counts["lines"] += block.count("\n")
            for file in raw.values():
                file.write(document if document.endswith("\n") else document + "\n")
    counts["tokens"] = stream.length - 1  # every token but bos is a target
    stream.close()
    return counts


def _write_pairs(folder: Path, split: str, items: Iterator[Item], tokenizer: Tokenizer) -> dict[str, int]:
    """Per side `<split>.<side>.npy`, `<split>.<side>_offsets.npy` and, except for train, `<split>.<side>.txt`."""
    counts: dict[str, int] = dict.fromkeys(
        ("pairs", "tokens", "source_tokens", "words", "bytes", "lines", "blank", "unknown"), 0
    )
    counts["lossless"] = True
    flat = {side: ArrayWriter(folder / f"{split}.{side}.npy", _dtype(tokenizer)) for side in ("source", "target")}
    offsets = {side: ArrayWriter(folder / f"{split}.{side}_offsets.npy", np.uint64) for side in flat}
    for writer in offsets.values():
        writer.extend([0])
    with _text_files(folder, split, ("source", "target")) as raw:
        for source, target in items:
            if split == "train" and not (source.strip() and target.strip()):
                counts["blank"] += 1  # nothing to learn from; evaluation keeps such pairs
                continue
            for side, text in (("source", source), ("target", target)):
                ids = tokenizer.encode(text)
                flat[side].extend([*ids, EOS])
                offsets[side].extend([flat[side].length])
                if side in raw:
                    raw[side].write(text + "\n")
                counts["lossless"] = counts["lossless"] and tokenizer.keeps(text, ids)
                counts["unknown"] += ids.count(UNK)
            counts["pairs"] += 1
            counts["words"] += len(target.split())
            counts["bytes"] += len(target.encode())
    counts["tokens"], counts["source_tokens"] = flat["target"].length, flat["source"].length
    counts["lines"] = counts["pairs"]
    for writer in (*flat.values(), *offsets.values()):
        writer.close()
    return counts


def _classes(task: TaskConfig, corpus: Corpus) -> list[str]:
    """Names of the classes that train has, sorted. Raises: ValueError where there is nothing to tell apart."""
    classes = sorted({label for text, label in corpus.read("train") if text.strip()})
    if len(classes) < 2:
        raise ValueError(
            f"the train text of task {task.name} has only the classes {classes}: a classifier needs two or more; "
            "see task.corpus.columns.label"
        )
    return classes


def _write_labelled(
    classes: list[str],
    place: Callable[[str, int], str],
    folder: Path,
    split: str,
    items: Iterator[Item],
    tokenizer: Tokenizer,
) -> dict[str, int]:
    """`<split>.text.npy`, `<split>.text_offsets.npy`, `<split>.label.npy` and, except for train, `<split>.text.txt`."""
    counts: dict[str, int] = dict.fromkeys(("examples", "tokens", "words", "bytes", "lines", "blank", "unknown"), 0)
    counts["lossless"] = True
    numbers = {name: number for number, name in enumerate(classes)}
    flat = ArrayWriter(folder / f"{split}.text.npy", _dtype(tokenizer))
    offsets = ArrayWriter(folder / f"{split}.text_offsets.npy", np.uint64)
    labels = ArrayWriter(folder / f"{split}.label.npy", np.uint32)
    offsets.extend([0])
    with _text_files(folder, split, ("text",)) as raw:
        for number, (text, label) in enumerate(items):
            if split == "train" and not text.strip():
                counts["blank"] += 1  # nothing to learn from; evaluation keeps such sentences
                continue
            if label not in numbers:
                raise ValueError(
                    f"{place(split, number)} has the label {label!r}, which the train text does not have (its labels: "
                    f"{', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}): correct it, or take it out"
                )
            ids = tokenizer.encode(text)
            flat.extend([BOS, *ids])
            offsets.extend([flat.length])
            labels.extend([numbers[label]])
            for file in raw.values():
                file.write(text + "\n")
            counts["lossless"] = counts["lossless"] and tokenizer.keeps(text, ids)
            counts["unknown"] += ids.count(UNK)
            counts["examples"] += 1
            counts["words"] += len(text.split())
            counts["bytes"] += len(text.encode())
    counts["tokens"], counts["lines"] = flat.length, counts["examples"]
    for writer in (flat, offsets, labels):
        writer.close()
    return counts


def _dtype(tokenizer: Tokenizer) -> type[np.unsignedinteger]:
    return np.uint16 if tokenizer.size <= 1 << 16 else np.uint32


@contextmanager
def _text_files(folder: Path, split: str, sides: tuple[str, ...]) -> Iterator[dict[str, TextIO]]:
    """A file a side for raw evaluation text; none for train, whose text is not kept."""
    with ExitStack() as stack:
        yield {
            side: stack.enter_context((folder / f"{split}.{side}.txt").open("w", encoding="utf-8", newline="\n"))
            for side in sides
            if split != "train"
        }


class ArrayWriter:
    """Numbers appended to one .npy file: memory stays flat however long the text."""

    def __init__(self, path: Path, dtype: Any):
        self.length = 0
        self._dtype = np.dtype(dtype)
        self._buffer = array(self._dtype.char)  # numpy and array call the types of C by the same letters
        self._file = path.open("wb")
        self._write_header()

    def extend(self, numbers: list[int]) -> None:
        """Append. Raises: OverflowError for a number that the type cannot hold."""
        self._buffer.extend(numbers)
        self.length += len(numbers)
        if len(self._buffer) * self._buffer.itemsize >= BUFFER:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the length."""
        self._flush()
        self._file.seek(0)
        self._write_header()  # as long as the first one: numpy leaves room for the length to grow
        self._file.close()

    def _flush(self) -> None:
        self._buffer.tofile(self._file)
        del self._buffer[:]

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)
