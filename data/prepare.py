"""Text to a prepared folder: `<cache>/<task name>/<digest of the task's text settings>/<digest of the text>/`.

Built under another name and renamed into place, so a folder is either whole or absent. Several processes may prepare at
once: each builds, one rename wins, the others use the winner's folder.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from data.batch import BOS, EOS, UNK
from data.config import KINDS, CorpusConfig, TaskConfig
from data.corpora import ContentDigest, Corpus, Item, MissingCorpusError, open_corpus
from data.prepared import FORMAT, MANIFEST, ArrayWriter, DamagedError, Prepared, checksum, sha256
from data.tokenizer import Tokenizer, train_tokenizer

TOKENIZER_CHARACTERS = 100_000_000  # at most so many characters teach the tokenizer
BLOCK = 1 << 20  # characters of a document encoded at once
REPEATED_LINE = 10  # words from which a line that train holds too counts as a duplicate


def prepare(task: TaskConfig, corpora: str | None, cache: str) -> Prepared:
    """The prepared text of a task: found, or built where text is at hand.

    Text on this machine decides by its content. Where it is not (the hub; a machine to which only the prepared folder
    was copied) the folder is found by the task's settings alone.

    Raises: MissingCorpusError, ValueError; both say what to do.
    """
    _check(task)
    home = Path(cache).expanduser() / task.name / config_digest(task)
    try:
        corpus = open_corpus(task, corpora)
        if not corpus.local and (prepared := _found(home, task)) is not None:
            return prepared
        _check_splits(task, corpus.splits)
        if corpus.local and (prepared := _intact(home / corpus.content(), task)) is not None:
            return prepared
        return _build(task, corpus, home)
    except MissingCorpusError as missing:
        if (prepared := _found(home, task)) is None:
            raise _damaged(home, missing) from None
        return prepared


def config_digest(task: TaskConfig) -> str:
    """Digest of the settings that decide which integers come out; no context, test list, or folder is among them."""
    defaults = dataclasses.asdict(CorpusConfig())
    corpus = {key: value for key, value in dataclasses.asdict(task.corpus).items() if value != defaults[key]}
    if "files" in corpus:
        corpus["files"] = {split: _without_folder(path) for split, path in corpus["files"].items()}
    if "hub" in corpus:
        corpus["hub"] = _without_folder(corpus["hub"])
    if "hub_splits" in corpus:
        corpus["hub_splits"] = list(corpus["hub_splits"].items())  # their order decides who takes which rows
    tokenizer: dict[str, Any] = {"kind": task.tokenizer.kind}
    if task.tokenizer.kind in ("sentencepiece", "words"):
        tokenizer["vocab_size"] = task.tokenizer.vocab_size
    if task.tokenizer.kind == "sentencepiece":
        tokenizer["model"] = task.tokenizer.model
    settings = {"format": FORMAT, "kind": task.kind, "corpus": corpus, "tokenizer": tokenizer}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _without_folder(path: Any) -> Any:
    if isinstance(path, dict):
        return {side: _without_folder(name) for side, name in path.items()}
    return Path(path).name if isinstance(path, str) and Path(path).expanduser().is_absolute() else path


def _check(task: TaskConfig) -> None:
    if task.kind not in KINDS:
        raise ValueError(f"task.kind={task.kind} is not known: choose {' or '.join(KINDS)}")
    if not re.fullmatch(r"\w[\w.-]*", task.name):
        raise ValueError(f"task.name={task.name} names a folder: use letters, digits, dot, hyphen and underscore only")


def _check_splits(task: TaskConfig, splits: Iterable[str]) -> None:
    splits = tuple(splits)
    for needed in ("train", "valid"):
        if needed not in splits:
            raise ValueError(f"task {task.name} has no {needed} text, only {', '.join(splits)}")
    if missing := [split for split in task.test if split not in splits]:
        there = [split for split in splits if split not in ("train", "valid")]
        hint = f"type 'task.test=[{','.join(split for split in task.test if split in there) or ','.join(there)}]'"
        if set(missing) <= set(task.corpus.files):
            hint += ", or give paths.corpora=FOLDER, for files that have more"
        raise ValueError(f"task.test asks for {', '.join(missing)}, which this corpus does not have: {hint}")


def _intact(folder: Path, task: TaskConfig) -> Prepared | None:
    try:
        return Prepared.open(folder, task)
    except (DamagedError, FileNotFoundError):
        return None


def _found(home: Path, task: TaskConfig) -> Prepared | None:
    """The one whole prepared folder of these settings. Raises: ValueError where there are several."""
    opened = [_intact(folder, task) for folder in _folders(home)]
    whole = [prepared for prepared in opened if prepared is not None]
    if len({prepared.digest for prepared in whole}) > 1:
        raise ValueError(
            f"{home} holds {len(whole)} prepared texts and their source is not here to choose between them: "
            f"remove all but one, or give paths.corpora"
        )
    if not whole:
        return None
    _check_splits(task, whole[0].splits)
    return whole[0]


def _folders(home: Path) -> list[Path]:
    return sorted(home.glob("[0-9a-f]*")) if home.is_dir() else []


def _damaged(home: Path, missing: MissingCorpusError) -> Exception:
    """What to say without text and without a whole folder."""
    if not (folders := _folders(home)):
        return missing
    return ValueError(
        f"the prepared text {folders[0]} is damaged and its source is not here to build it again: "
        f"copy the folder again ({missing})"
    )


def _build(task: TaskConfig, corpus: Corpus, home: Path) -> Prepared:
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f".building-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        content = _write(task, corpus, folder)
        return _publish(folder, home / content, task)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path, task: TaskConfig) -> Prepared:
    """Move a finished folder into place; where another process was faster, take its folder."""
    for _ in range(10):
        try:
            folder.rename(target)
        except OSError:  # the target exists
            if (prepared := _intact(target, task)) is not None:
                return prepared
            aside = target.with_name(f".damaged-{uuid.uuid4().hex[:8]}")
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
    write = _write_pairs if task.kind == "translation" else _write_stream
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
        "origin": corpus.origin,
        "content": content.hexdigest(),
        "tokenizer": {"kind": tokenizer.kind, "file": saved.name, "digest": tokenizer.digest, "size": tokenizer.size},
        "splits": {split: counts[split] for split in corpus.splits},
        "duplicates": repeats.found(),
        "files": files,
    }
    manifest["checksum"] = checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return manifest["content"]


def _watched(corpus: Corpus, split: str, content: ContentDigest, repeats: "Repeats") -> Iterator[Item]:
    for item in corpus.read(split):
        content.add(split, item)
        repeats.add(split, item)
        yield item


def _tokenizer_text(task: TaskConfig, corpus: Corpus) -> Iterator[str]:
    """Training text for the tokenizer, all of it or, for SentencePiece, an even sample where there is too much.

    Of a streamed corpus the first documents, since a sample would mean reading it all twice.
    """

    def blocks() -> Iterator[str]:
        return (block for item in corpus.read("train") for text in item for block in _blocks(text))

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


class Repeats:
    """Counts what of the evaluation text stands in the training text too: pairs, or lines of ten and more words."""

    def __init__(self) -> None:
        self._wanted: dict[Any, list[str]] = {}  # pair or line -> the split of each occurrence
        self._met: set[Any] = set()

    def add(self, split: str, item: Item) -> None:
        """One more document or pair; evaluation splits must come before train."""
        units: list[Any] = [item]
        if len(item) == 1:
            units = [line for line in item[0].split("\n") if len(line.split()) >= REPEATED_LINE]
        for unit in units:
            if split != "train":
                self._wanted.setdefault(unit, []).append(split)
            elif unit in self._wanted:
                self._met.add(unit)

    def found(self) -> dict[str, int]:
        """Split -> how many of its pairs or long lines train holds too."""
        found = dict.fromkeys((split for splits in self._wanted.values() for split in splits), 0)
        for unit in self._met:
            for split in self._wanted[unit]:
                found[split] += 1
        return dict(sorted(found.items()))


def _write_stream(folder: Path, split: str, items: Iterator[Item], tokenizer: Tokenizer) -> dict[str, int]:
    """`<split>.text.npy`: bos, the documents, eos between them. And `<split>.text.txt`, except for train."""
    counts: dict[str, int] = dict.fromkeys(("tokens", "words", "bytes", "lines", "documents", "unknown"), 0)
    stream = ArrayWriter(folder / f"{split}.text.npy", _dtype(tokenizer))
    stream.extend([BOS])
    with _text_file(folder, split, "text") as raw:
        for (document,) in items:
            if counts["documents"]:
                stream.extend([EOS])
            counts["documents"] += 1
            for block in _blocks(document):
                ids = tokenizer.encode(block)
                stream.extend(ids)
                counts["unknown"] += ids.count(UNK)
                counts["words"] += len(block.split())
                counts["bytes"] += len(block.encode())
                counts["lines"] += block.count("\n")
            raw.write(document if document.endswith("\n") else document + "\n")
    counts["tokens"] = stream.length - 1  # every token but bos is a target
    stream.close()
    return counts


def _write_pairs(folder: Path, split: str, items: Iterator[Item], tokenizer: Tokenizer) -> dict[str, int]:
    """Per side `<split>.<side>.npy`, `<split>.<side>_offsets.npy` and, except for train, `<split>.<side>.txt`."""
    counts: dict[str, int] = dict.fromkeys(
        ("pairs", "tokens", "source_tokens", "words", "bytes", "lines", "blank", "unknown"), 0
    )
    flat = {side: ArrayWriter(folder / f"{split}.{side}.npy", _dtype(tokenizer)) for side in ("source", "target")}
    offsets = {side: ArrayWriter(folder / f"{split}.{side}_offsets.npy", np.uint64) for side in flat}
    for writer in offsets.values():
        writer.extend([0])
    with _text_file(folder, split, "source") as source_raw, _text_file(folder, split, "target") as target_raw:
        raw = {"source": source_raw, "target": target_raw}
        for source, target in items:
            if split == "train" and not (source.strip() and target.strip()):
                counts["blank"] += 1  # nothing to learn from; evaluation keeps such pairs
                continue
            for side, text in (("source", source), ("target", target)):
                ids = tokenizer.encode(text)
                flat[side].extend([*ids, EOS])
                offsets[side].extend([flat[side].length])
                raw[side].write(text + "\n")
                counts["unknown"] += ids.count(UNK)
            counts["pairs"] += 1
            counts["words"] += len(target.split())
            counts["bytes"] += len(target.encode())
    counts["tokens"], counts["source_tokens"] = flat["target"].length, flat["source"].length
    counts["lines"] = counts["pairs"]
    for writer in (*flat.values(), *offsets.values()):
        writer.close()
    return counts


def _dtype(tokenizer: Tokenizer) -> type[np.unsignedinteger]:
    return np.uint16 if tokenizer.size <= 1 << 16 else np.uint32


@contextmanager
def _text_file(folder: Path, split: str, side: str) -> Iterator[Any]:
    """Where raw evaluation text goes; training text is not kept."""
    if split == "train":
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    with (folder / f"{split}.{side}.txt").open("w", encoding="utf-8", newline="\n") as file:
        yield file
