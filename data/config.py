"""What a task is: its kind, where its text comes from, how the text becomes integers."""

from dataclasses import dataclass, field
from typing import Any

KINDS = ("language_modeling", "translation")


@dataclass
class TokenizerConfig:
    """Text to integers. Specials are the same for every kind: pad 0, bos 1, eos 2, unk 3."""

    kind: str = "sentencepiece"  # sentencepiece | characters | bytes | words
    model: str = "bpe"  # sentencepiece: bpe | unigram
    vocab_size: int | None = 4000  # sentencepiece, words: number of entries, specials included


@dataclass
class CorpusConfig:
    """Where text comes from, one of four origins.

    local files, under `paths.corpora` or an absolute path; the hub; text built into the installation; a generator.
    `files` is used when `paths.corpora` is given, its paths are absolute, or there is no `hub`; else `hub`.
    """

    # split -> path (language modelling) or {source: path, target: path} (translation); plain or .gz. The split `all` is
    # one text, cut by `fractions`. A split whose path is null does not exist.
    files: dict[str, Any] = field(default_factory=dict)
    fractions: dict[str, float] = field(default_factory=dict)  # split -> share of `all`, in order; characters or pairs
    hub: str | None = None  # dataset name on the hub, or a local folder that `datasets` can load
    hub_config: str | None = None
    hub_revision: str | None = None
    # our split -> the hub's. Splits that name the same one take its rows one after another, in the order written.
    hub_splits: dict[str, str] = field(default_factory=dict)
    # text | source, target -> column; "translation.de" reaches into a nested column
    columns: dict[str, str] = field(default_factory=dict)
    rows: str = "documents"  # what a row of the hub's text is: documents | lines (of one long text)
    streaming: bool = False  # hub: read rows as they come, never the whole dataset
    max_documents: dict[str, int] = field(default_factory=dict)  # hub: split -> how many rows at most
    builtin: str | None = None  # name of a text present in every installation
    generator: str | None = None  # name of a generated task
    options: dict[str, Any] = field(default_factory=dict)  # the generator's sizes


@dataclass
class TaskConfig:
    """One question put to a model: language modelling or translation on one corpus."""

    name: str = "python_docs"
    kind: str = "language_modeling"
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    context: int = 256  # tokens: window of a language model; longest side of a translation pair
    test: list[str] = field(default_factory=lambda: ["test"])  # splits scored after training, the first is the headline
    source_lang: str = "en"
    target_lang: str = "de"  # also chooses sacreBLEU's tokenisation
    newline_is_word: bool = False  # count a line end as a word in word perplexity, as WikiText's convention does
