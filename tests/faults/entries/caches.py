"""Prepared text: arrays, a tokenizer, a manifest."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.mutants import Draw, altered, altered_json, as_text


class Caches:
    """A folder of prepared text in which one file is another than was written."""

    def __init__(self, folder: Path):
        from data.config import CorpusConfig, TaskConfig, TokenizerConfig
        from data.prepare import prepare

        (folder / "text").write_text("ein Hund bellt\nzwei Katzen \u2581 é\n" * 3, encoding="utf-8")
        (folder / "table").write_text("text\tlabel\nein Hund\tgood\nzwei Katzen\tbad\n" * 2, encoding="utf-8")
        self._cases = []
        for kind, tokenizer in CACHES:
            corpus = CorpusConfig(generator="reverse", options={"train": 60, "valid": 3, "test": 3, "long": 0})
            if kind != "translation":
                text = "text" if kind == "language_modeling" else "table"
                corpus = CorpusConfig(files=dict.fromkeys(("train", "valid", "test"), text))
            task = TaskConfig(
                name=kind,
                kind=kind,
                corpus=corpus,
                tokenizer=TokenizerConfig(kind=tokenizer, vocab_size=280 if tokenizer == "sentencepiece" else None),
                context=32,
                test=["test"],
            )
            prepared = prepare(task, str(folder), str(folder))
            files = {path.name: path.read_bytes() for path in sorted(prepared.folder.iterdir())}
            self._cases.append((prepared.folder, task, files))
            self.read(len(self._cases) - 1, {})

    def make(self, data: bytes) -> tuple[int, dict[str, bytes]]:
        draw = Draw(data)
        case = draw.below(len(self._cases))
        files = self._cases[case][2]
        names = self.names(case)
        tokenizers = [name for name in names if name.startswith("tokenizer")]
        name = draw.choice(("manifest.json", tokenizers[0], tokenizers[0], *names))
        content = self._content(draw, name, files[name])
        if name == "manifest.json" or draw.one_in(8):
            return case, {name: content}
        return case, resealed(files["manifest.json"], name, content)

    def names(self, case: int) -> list[str]:
        """The files of a folder beside its manifest."""
        return [name for name in self._cases[case][2] if name != "manifest.json"]

    def manifest(self, case: int) -> bytes:
        """As it was written."""
        return self._cases[case][2]["manifest.json"]

    def _content(self, draw: Draw, name: str, content: bytes) -> bytes:
        if name == "manifest.json":
            plain = altered_json(draw, json.loads(content))
            return altered(draw, content) if draw.one_in(4) else _checksummed(plain)
        if draw.one_in(8):
            return draw.rest()
        if name.endswith(".json") and not draw.one_in(4):
            return as_text(draw, altered_json(draw, json.loads(content)))
        if name.endswith(".npy") and draw.one_in(3):
            file = io.BytesIO()
            np.save(file, np.array(draw.choice(ARRAYS)))
            return altered(draw, file.getvalue()) if draw.one_in(2) else file.getvalue()
        return altered(draw, content)

    def read(self, case: int, changed: dict[str, bytes]) -> None:
        """A prepared folder in which these files hold this; all that a run asks of it."""
        folder, task, files = self._cases[case]
        for name, content in changed.items():
            (folder / name).write_bytes(content)
        try:
            self._use(folder, task)
        finally:
            for name in changed:
                (folder / name).write_bytes(files[name])

    @staticmethod
    def _use(folder: Path, task: Any) -> None:
        from data.prepared import Prepared

        prepared = Prepared.open(folder, task)
        tokenizer = prepared.tokenizer
        for text in ("ein Hund", "a b\nc \u2581 é"):
            ids = tokenizer.encode(text)
            assert all(0 <= number < tokenizer.size for number in ids)
            tokenizer.decode(ids)
        for split in prepared.splits:
            if task.kind == "language_modeling":
                prepared.stream(split).tolist()
            else:
                prepared.lengths(split).tolist()
            if task.kind == "classification":
                prepared.labels(split).tolist()
        prepared.lines("test", "target" if task.kind == "translation" else "text")
        json.dumps(prepared.facts)


CACHES = (
    ("translation", "sentencepiece"),
    ("language_modeling", "characters"),
    ("classification", "words"),
    ("translation", "bytes"),
)


def resealed(manifest: bytes, name: str, content: bytes) -> dict[str, bytes]:
    """A file that holds this, and the manifest with checksums that fit."""
    plain = json.loads(manifest)
    plain["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    if name.startswith("tokenizer"):
        plain["tokenizer"]["digest"] = hashlib.sha256(content).hexdigest()
    return {name: content, "manifest.json": _checksummed(plain)}


def _checksummed(manifest: Any) -> bytes:
    from data.prepared import checksum

    if isinstance(manifest, dict):
        manifest.pop("checksum", None)
        manifest["checksum"] = checksum(manifest)
    return json.dumps(manifest).encode()


ARRAYS = ([], 0, [1, 2, 3], [-1, -5], [1.5], [[1, 2], [3, 4]], ["a"], [True], [1j], [2**63], [b"x"])
