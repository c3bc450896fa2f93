"""Prepared text: a folder of integer arrays, a tokenizer and a manifest with the checksum of every file."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data.config import TaskConfig
from data.tokenizer import Tokenizer, load_tokenizer

FORMAT = 3  # of the folder and its manifest; another number is another folder
CODING = 1  # of the steps from text to integers; another number is another digest, and needs another FORMAT
MANIFEST = "manifest.json"


class DamagedError(ValueError):
    """A prepared folder whose files are not the ones that were written."""


def sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum(manifest: dict[str, Any]) -> str:
    """Digest of a manifest's content."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


@dataclass
class Prepared:
    """Tokenised text of one task. Arrays are memory-mapped, each once: processes share the pages.

    language modelling: `stream(split)` is bos and the split's tokens, with eos between documents.
    translation: `side(split, "source" | "target")` is (flat ids, offsets); sentence i is
    flat[offsets[i]:offsets[i + 1]] and ends in eos.
    classification: `side(split, "text")` likewise, but sentence i begins with bos and has no eos; `labels(split)` are
    the classes' numbers.
    """

    folder: Path
    task: TaskConfig
    manifest: dict[str, Any]
    _arrays: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, task: TaskConfig) -> "Prepared":
        """Check every file against the manifest. Raises: DamagedError, FileNotFoundError where there is no folder."""
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            files = manifest["files"]
            if manifest.pop("checksum") != checksum(manifest):
                raise ValueError("its checksum does not fit")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"the prepared text {folder} is damaged: no sound {MANIFEST} ({error})") from None
        if manifest["format"] != FORMAT:
            raise DamagedError(f"the prepared text {folder} is of format {manifest['format']}, not {FORMAT}")
        theirs, mine = (manifest["settings"], manifest["content"]), folder.absolute().parts[-2:]
        if theirs != mine:
            raise DamagedError(
                f"the prepared text {folder} is damaged: it was prepared as {'/'.join(theirs)}, for another task or text"
            )
        for name, expected in files.items():
            path = folder / name
            if not path.is_file():
                raise DamagedError(f"the prepared text {folder} is damaged: {name} is not there")
            if path.stat().st_size != expected["bytes"]:
                raise DamagedError(
                    f"the prepared text {folder} is damaged: {name} has {path.stat().st_size} bytes, "
                    f"not {expected['bytes']}"
                )
            if sha256(path) != expected["sha256"]:
                raise DamagedError(f"the prepared text {folder} is damaged: {name} is not the file that was written")
        return cls(folder, task, manifest)

    @classmethod
    def find(cls, folder: Path, task: TaskConfig) -> "Prepared | None":
        """The prepared text in `folder` if it is there and whole."""
        try:
            return cls.open(folder, task)
        except (DamagedError, FileNotFoundError):
            return None

    @property
    def kind(self) -> str:
        """Of the task: language_modeling, translation or classification."""
        return self.task.kind

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self.manifest["splits"])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The vocabulary learnt from the training split."""
        kept = self.manifest["tokenizer"]
        return load_tokenizer(kept["kind"], (self.folder / kept["file"]).read_bytes())

    @cached_property
    def digest(self) -> str:
        """Of text, tokenizer and coding: equal digests mean equal integers, wherever the text came from."""
        parts = [str(CODING), self.manifest["content"], self.manifest["tokenizer"]["digest"]]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def array(self, split: str, part: str) -> np.ndarray:
        """One memory-mapped array of a split."""
        if split not in self.splits:
            raise ValueError(f"task {self.task.name} has no split {split}: it has {', '.join(self.splits)}")
        if (split, part) not in self._arrays:
            self._arrays[split, part] = np.load(self.folder / f"{split}.{part}.npy", mmap_mode="r")
        return self._arrays[split, part]

    def stream(self, split: str) -> np.ndarray:
        """Token ids of a language-modelling split, bos first."""
        return self.array(split, "text")

    def side(self, split: str, side: str) -> tuple[np.ndarray, np.ndarray]:
        """Flat ids and offsets (one more than sentences) of one side of a split of sentences."""
        return self.array(split, side), self.array(split, f"{side}_offsets")

    @property
    def classes(self) -> list[str]:
        """Names of the classes, sorted; a label's number is its place here. Empty for other kinds of task."""
        return list(self.manifest.get("classes", []))

    def labels(self, split: str) -> np.ndarray:
        """[sentences]: number of each sentence's class."""
        return self.array(split, "label")

    def lengths(self, split: str) -> np.ndarray:
        """[pairs, 2]: tokens of source and target, each with its eos; [sentences, 1]: tokens with bos."""
        sides = ("source", "target") if self.kind == "translation" else ("text",)
        offsets = [self.array(split, f"{side}_offsets") for side in sides]
        return np.stack([np.diff(side.astype(np.int64)) for side in offsets], axis=1)

    def lines(self, split: str, side: str = "text") -> list[str]:
        """Raw text of an evaluation split. Raises: ValueError for train, whose text is not kept."""
        path = self.folder / f"{split}.{side}.txt"
        if path.name not in self.manifest["files"]:
            raise ValueError(f"the {side} text of split {split} of task {self.task.name} is not kept")
        return path.read_bytes().decode().removesuffix("\n").split("\n")

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a record says about the data; token counts are of scored targets (translation: with eos).

        Of a classification task they are of what is read, with bos; `classes` counts each class in each split.
        A split is `lossless` where its integers stand for its very text: only then do bits per byte speak of that text.
        """
        splits = {}
        for split, kept in self.manifest["splits"].items():
            counts = dict(kept)
            if self.task.newline_is_word:
                counts["words"] += counts["lines"]
            if self.kind != "language_modeling":
                long = int((self.lengths(split) > self.task.context).any(axis=1).sum())
                # Longer than the context: left out of training, cut in evaluation.
                counts["dropped" if split == "train" else "truncated"] = long
            splits[split] = counts
        facts = {
            "digest": self.digest,
            "content": self.manifest["content"],
            "origin": self.manifest["origin"],
            "tokenizer": self.tokenizer.digest,
            "vocabulary": self.tokenizer.size,
            "splits": splits,
            "duplicates": self.manifest["duplicates"],
        }
        if self.kind == "classification":
            facts["classes"] = {split: self._class_counts(split) for split in self.splits}
        return facts

    def _class_counts(self, split: str) -> dict[str, int]:
        counts = np.bincount(self.labels(split), minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counts, strict=True))
