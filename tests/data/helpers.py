"""Tiny corpora for these tests."""

import gzip
from pathlib import Path

from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.synthetic import generate
from data.turn import LOCK


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def left(home: Path) -> list[str]:
    """What lies there beside the lock."""
    return sorted(path.name for path in home.iterdir() if path.name != LOCK)


def parallel_task(folder: Path, train: int = 300, **tokenizer: object) -> TaskConfig:
    """Files of the toy language under `folder`, and the task that reads them."""
    for split, pairs in generate("toy_translation", {"train": train, "valid": 40, "test": 40}).items():
        for side, lines in zip(("en", "toy"), zip(*pairs, strict=True), strict=True):
            write(folder / f"toy/{split}.{side}.gz", "\n".join(lines) + "\n")
    files = {s: {"source": f"toy/{s}.en.gz", "target": f"toy/{s}.toy.gz"} for s in ("train", "valid", "test")}
    chosen = TokenizerConfig(**({"vocab_size": 400} | tokenizer))  # type: ignore[arg-type]
    return TaskConfig("toy", "translation", CorpusConfig(files=files), chosen, context=64)


def labelled_task(folder: Path, train: int = 300, **tokenizer: object) -> TaskConfig:
    """Tables of the language of opinions under `folder`, and the task that reads them; the label stands first."""
    for split, rows in generate("toy_sentiment", {"train": train, "valid": 40, "test": 40}).items():
        write(
            folder / f"toy/{split}.tsv.gz", "label\tsentence\n" + "".join(f"{label}\t{text}\n" for text, label in rows)
        )
    files = {split: f"toy/{split}.tsv.gz" for split in ("train", "valid", "test")}
    corpus = CorpusConfig(files=files, columns={"text": "sentence", "label": "label"})
    chosen = TokenizerConfig(**({"kind": "words", "vocab_size": None} | tokenizer))  # type: ignore[arg-type]
    return TaskConfig("opinions", "classification", corpus, chosen, context=32)


def text_task(folder: Path, text: str, **tokenizer: object) -> TaskConfig:
    """One file, cut 80 / 10 / 10."""
    write(folder / "text.txt", text)
    corpus = CorpusConfig(files={"all": "text.txt"}, fractions={"train": 0.8, "valid": 0.1, "test": 0.1})
    return TaskConfig("prose", "language_modeling", corpus, TokenizerConfig(**({"kind": "bytes"} | tokenizer)))  # type: ignore[arg-type]
