"""What a task is: its kind, where its text comes from, how the text becomes integers."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KINDS = ("language_modeling", "translation", "classification")
TOKENIZERS = ("sentencepiece", "characters", "bytes", "words")
PIECES = ("bpe", "unigram")
SMALLEST = {"sentencepiece": 261, "words": 5}  # vocabularies: one entry beside 4 specials, and 256 bytes
ROWS = ("documents", "lines")
PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # what names folders, files and rows


def one_of(key: str, value: str, names: Iterable[str]) -> None:
    """Raise a ValueError with the nearest name unless `value` is among `names`."""
    names = list(names)
    if value not in names:
        near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{key}={value!r} is unknown{hint} (known: {', '.join(names)})")


@dataclass
class TokenizerConfig:
    """Text to integers. Specials are the same for every kind: pad 0, bos 1, eos 2, unk 3."""

    kind: str = "sentencepiece"  # sentencepiece | characters | bytes | words
    model: str = "bpe"  # sentencepiece: bpe | unigram
    vocab_size: int | None = 4000  # sentencepiece, words (null: all of them): number of entries, specials included

    def check(self) -> None:
        """Raise a ValueError with the reason unless a vocabulary can be learnt so."""
        one_of("task.tokenizer.kind", self.kind, TOKENIZERS)
        one_of("task.tokenizer.model", self.model, PIECES)
        size, smallest = self.vocab_size, SMALLEST.get(self.kind)
        if size is None and self.kind == "sentencepiece":
            raise ValueError("task.tokenizer.vocab_size is not given: sentencepiece needs a number")
        if size is not None and smallest is not None and size < smallest:
            raise ValueError(
                f"task.tokenizer.vocab_size={size} is too small: {self.kind} needs {smallest} entries or more"
            )

    def essentials(self) -> dict[str, Any]:
        """The settings that matter for this kind: from one text, equal ones learn equal vocabularies."""
        settings: dict[str, Any] = {"kind": self.kind}
        if self.kind == "sentencepiece":
            settings["model"] = self.model
        if self.kind in SMALLEST:
            settings["vocab_size"] = self.vocab_size
        return settings


@dataclass
class CorpusConfig:
    """Where text comes from, one of four origins.

    local files, under `paths.corpora` or an absolute path; the hub; text built into the installation; a generator.
    `files` is used when `paths.corpora` is given, its paths are absolute, or there is no `hub`; else `hub`.
    """

    # split -> path (language modelling: text; classification: a table, its columns separated by tabs and named in its
    # first line) or {source: path, target: path} (translation); plain or .gz. The split `all` is one text, cut by
    # `fractions`. A split whose path is null does not exist.
    files: dict[str, Any] = field(default_factory=dict)
    fractions: dict[str, float] = field(
        default_factory=dict
    )  # split -> share of `all`, in order; of characters, pairs or rows
    hub: str | None = None  # dataset name on the hub, or a local folder that `datasets` can load
    hub_config: str | None = None
    hub_revision: str | None = None
    # our split -> the hub's. Splits that name the same one take its rows one after another, in the order written.
    hub_splits: dict[str, str] = field(default_factory=dict)
    # text | source, target | text, label -> column of the hub's rows, or of a table; "translation.de" reaches into a
    # nested column of the hub's
    columns: dict[str, str] = field(default_factory=dict)
    rows: str = "documents"  # what a row of the hub's text is: documents | lines (of one long text)
    streaming: bool = False  # hub: read rows as they come, never the whole dataset
    max_documents: dict[str, int] = field(default_factory=dict)  # hub: split -> how many rows at most
    builtin: str | None = None  # name of a text present in every installation
    generator: str | None = None  # name of a generated task
    options: dict[str, Any] = field(default_factory=dict)  # the generator's sizes


@dataclass
class TaskConfig:
    """One question put to a model: language modelling, translation or classification on one corpus."""

    name: str = "python_docs"
    kind: str = "language_modeling"
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    context: int = (
        256  # tokens: window of a language model; longest side of a translation pair; longest sentence to classify
    )
    test: list[str] = field(default_factory=lambda: ["test"])  # splits scored after training, the first is the headline
    source_lang: str = "en"
    target_lang: str = "de"  # also chooses sacreBLEU's tokenisation
    newline_is_word: bool = False  # count a line end as a word in word perplexity, as WikiText's convention does

    def check(self) -> None:
        """Raise a ValueError with the reason unless text can be prepared for this task, whatever the text."""
        if not re.fullmatch(PLAIN, self.name):
            raise ValueError(
                f"task.name={self.name!r} names a folder: it must be of letters, digits and . _ - alone, "
                "100 at most, and start with a letter or digit"
            )
        corpus = self.corpus
        for split in (*self.test, *corpus.files, *corpus.fractions, *corpus.hub_splits, *corpus.max_documents):
            if not re.fullmatch(PLAIN, split):
                raise ValueError(
                    f"a split of task={self.name} is called {split!r}, which names files: it must be of letters, "
                    "digits and . _ - alone, 100 at most, and start with a letter or digit"
                )
        one_of("task.kind", self.kind, KINDS)
        one_of("task.corpus.rows", self.corpus.rows, ROWS)
        if self.context < 1:
            raise ValueError(f"task.context={self.context} must be at least 1")
        if "train" in self.test:
            raise ValueError("task.test holds train: a score of the training text is no test, take it out")
        if len(set(self.test)) < len(self.test):
            raise ValueError(f"task.test=[{','.join(self.test)}] names a split twice: name each once")
        self.tokenizer.check()
