"""Prepared text: a folder of integer arrays, a tokenizer and a manifest with the checksum of every file."""

import hashlib
import json
import warnings
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
    _checked: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, task: TaskConfig) -> "Prepared":
        """Check every file against the manifest. Raises: DamagedError, FileNotFoundError where there is no folder."""
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest.pop("checksum") != checksum(manifest):
                raise ValueError("its checksum does not fit")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedError(f"the prepared text {folder} is damaged: no sound {MANIFEST} ({error})") from None
        if manifest.get("format") != FORMAT:
            raise DamagedError(f"the prepared text {folder} is of format {manifest.get('format')!r}, not {FORMAT}")
        if (wrong := _unlike_ours(manifest)) is not None:
            raise DamagedError(f"the prepared text {folder} is damaged: {MANIFEST} says nothing we wrote of {wrong}")
        theirs, mine = (manifest["settings"], manifest["content"]), folder.absolute().parts[-2:]
        if theirs != mine:
            raise DamagedError(
                f"the prepared text {folder} is damaged: prepared as {'/'.join(theirs)}, for another task or text"
            )
        for name, expected in manifest["files"].items():
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
        """The vocabulary learnt from the training split. Raises: DamagedError."""
        kept = self.manifest["tokenizer"]
        try:
            tokenizer = load_tokenizer(kept["kind"], (self.folder / kept["file"]).read_bytes())
        except ValueError as error:
            raise self._damaged(kept["file"], str(error)) from None
        if (tokenizer.size, tokenizer.digest) != (kept["size"], kept["digest"]):
            raise self._damaged(kept["file"], "another vocabulary than the text was coded with")
        return tokenizer

    def _damaged(self, name: str, words: str) -> DamagedError:
        return DamagedError(f"the prepared text {self.folder} is damaged: {name} is {words}")

    @cached_property
    def digest(self) -> str:
        """Of text, tokenizer and coding: equal digests mean equal integers, wherever the text came from."""
        parts = [str(CODING), self.manifest["content"], self.manifest["tokenizer"]["digest"]]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def array(self, split: str, part: str) -> np.ndarray:
        """One memory-mapped array of a split. Raises: ValueError for another split, DamagedError."""
        if split not in self.splits:
            raise ValueError(f"task {self.task.name} has no split {split}: it has {', '.join(self.splits)}")
        if (split, part) not in self._arrays:
            self._arrays[split, part] = self._mapped(f"{split}.{part}.npy")
        return self._arrays[split, part]

    def _mapped(self, name: str) -> np.ndarray:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # numpy mends heads that Python 2 may have written, and says so
                array = np.load(self.folder / name, mmap_mode="r")
        except (OSError, MemoryError):
            raise
        except Exception as error:  # numpy reads the head of a file as Python, and raises whatever that does
            raise self._damaged(name, f"no array ({type(error).__name__})") from None
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
            raise self._damaged(name, "no row of whole numbers")
        return array

    def stream(self, split: str) -> np.ndarray:
        """Token ids of a language-modelling split, bos first."""
        return self.array(split, "text")

    def side(self, split: str, side: str) -> tuple[np.ndarray, np.ndarray]:
        """Flat ids and offsets (one more than sentences) of one side of a split of sentences. Raises: DamagedError."""
        flat, offsets = self.array(split, side), self.array(split, f"{side}_offsets")
        if (split, side) not in self._checked:  # once: every batch comes here, and this reads them all
            if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(flat) or (offsets[1:] < offsets[:-1]).any():
                raise self._damaged(f"{split}.{side}_offsets.npy", "no way to cut its text into sentences")
            self._checked.add((split, side))
        return flat, offsets

    @property
    def classes(self) -> list[str]:
        """Names of the classes, sorted; a label's number is its place here. Empty for other kinds of task."""
        return list(self.manifest.get("classes", []))

    def labels(self, split: str) -> np.ndarray:
        """[sentences]: number of each sentence's class. Raises: DamagedError."""
        labels = self.array(split, "label")
        if (split, "label") not in self._checked:
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
                raise self._damaged(f"{split}.label.npy", "of more classes than there are")
            self._checked.add((split, "label"))
        return labels

    def lengths(self, split: str) -> np.ndarray:
        """[pairs, 2]: tokens of source and target, each with its eos; [sentences, 1]: tokens with bos."""
        sides = ("source", "target") if self.kind == "translation" else ("text",)
        offsets = [self.side(split, side)[1] for side in sides]
        if len({len(side) for side in offsets}) > 1:
            raise self._damaged(f"{split}.source_offsets.npy", "of another length than those of its target")
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


# What a manifest holds, and of which type that is; `classes` stands there for classification alone.
HOLDS = {
    **dict.fromkeys(("task", "kind", "settings", "origin", "content"), str),
    **dict.fromkeys(("tokenizer", "splits", "files", "duplicates"), dict),
}
TOKENIZER_HOLDS = {"kind": str, "file": str, "digest": str, "size": int}


def _unlike_ours(manifest: dict[str, Any]) -> str | None:
    """The key of a manifest of today's format that `build` has not written so. It could be forged, checksum and all."""
    for key, kind in HOLDS.items():
        if not isinstance(manifest.get(key), kind):
            return key
    files = manifest["files"]
    for name, kept in files.items():
        if Path(name).name != name or not isinstance(kept, dict) or not {"bytes", "sha256"} <= kept.keys():
            return "files"
    for key, kind in TOKENIZER_HOLDS.items():
        if not isinstance(manifest["tokenizer"].get(key), kind):
            return "tokenizer"
    if manifest["tokenizer"]["file"] not in files:
        return "tokenizer"
    for counts in manifest["splits"].values():
        if not isinstance(counts, dict) or not all(isinstance(number, int) for number in counts.values()):
            return "splits"
    classes = manifest.get("classes", [])
    return None if isinstance(classes, list) and all(isinstance(name, str) for name in classes) else "classes"
