"""Text to integers and back: SentencePiece, characters, bytes, words.

Every kind keeps ids 0 to 3 for pad, bos, eos and unk, and treats a line end as a boundary: encoding two texts joined by
a newline gives the two encodings with the newline's id between, so long documents may be encoded piece by piece.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

from data.batch import BOS, EOS, PAD, UNK
from data.config import TokenizerConfig

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
SILENT = frozenset((PAD, BOS, EOS))  # never part of a text


class Tokenizer(Protocol):
    """What every kind offers."""

    kind: str

    @property
    def size(self) -> int:
        """Number of ids, specials included."""
        ...

    @property
    def digest(self) -> str:
        """Sha256 of the saved form."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without bos and eos."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Text of ids; pad, bos and eos are skipped."""
        ...

    def keeps(self, text: str, ids: list[int]) -> bool:
        """Whether the ids of a text stand for this very text and no other."""
        ...

    def save(self) -> bytes:
        """The saved form, for `load_tokenizer`."""
        ...


class SentencePiece:
    """Subwords (Kudo and Richardson 2018) that lose nothing: no normalisation, unknown characters as bytes.

    SentencePiece writes a space as U+2581; a text that holds U+2581 itself has it encoded as three bytes here.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes):
        import sentencepiece

        if not model:  # SentencePiece would take that for no model yet, and print its complaints
            raise ValueError("an empty file")
        self._model = model
        self.digest = hashlib.sha256(model).hexdigest()
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._newline = self._processor.piece_to_id("<0x0A>")
        self._space_mark = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in "\u2581".encode()]

    @property
    def size(self) -> int:
        """Number of ids, specials included."""
        return self._processor.get_piece_size()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without bos and eos."""
        if "\n" not in text and "\u2581" not in text:
            return self._processor.encode(text)
        ids: list[int] = []
        lines = text.split("\n")
        for line, encoded in zip(lines, self._processor.encode(lines), strict=True):
            ids.extend(encoded if "\u2581" not in line else self._encode_marked(line))
            ids.append(self._newline)
        return ids[:-1]

    def _encode_marked(self, line: str) -> list[int]:
        first, *others = line.split("\u2581")
        ids = self._processor.encode(first)
        for part in others:
            ids += self._space_mark
            # A part inside a line must not get the space that opens a line.
            ids += self._after_newline(part)
        return ids

    def _after_newline(self, part: str) -> list[int]:
        ids = self._processor.encode("\n" + part)
        return ids[ids.index(self._newline) + 1 :]

    def decode(self, ids: list[int]) -> str:
        """Text of ids; pad, bos and eos are skipped."""
        lines: list[list[int]] = [[]]
        for number in ids:
            if number == self._newline:
                lines.append([])
            elif number not in SILENT:
                lines[-1].append(number)
        return "\n".join(self._processor.decode(line) for line in lines)

    def keeps(self, text: str, ids: list[int]) -> bool:
        """Always."""
        return True

    def save(self) -> bytes:
        """The saved form."""
        return self._model


class _Listed:
    """A vocabulary that is a plain list of symbols."""

    kind: str
    unknown: str

    def __init__(self, symbols: list[str]):
        self._symbols = symbols
        self._named = [*SPECIALS[:UNK], self.unknown, *symbols]
        self._ids = {symbol: len(SPECIALS) + place for place, symbol in enumerate(symbols)} | {self.unknown: UNK}
        self.digest = hashlib.sha256(self.save()).hexdigest()

    @property
    def size(self) -> int:
        """Number of ids, specials included."""
        return len(self._named)

    def decode(self, ids: list[int]) -> str:
        """Text of ids; pad, bos and eos are skipped."""
        return "".join(self._symbols_of(ids))

    def keeps(self, text: str, ids: list[int]) -> bool:
        """Whether the ids of a text stand for this very text and no other: unk stands for many symbols."""
        return UNK not in ids and self.decode(ids) == text

    def save(self) -> bytes:
        """The saved form."""
        return json.dumps({"kind": self.kind, "symbols": self._symbols}, ensure_ascii=False).encode()

    def _symbols_of(self, ids: list[int]) -> list[str]:
        return [self._named[number] for number in ids if number not in SILENT]


class Characters(_Listed):
    """One id per character of the training text; U+FFFD for any other."""

    kind = "characters"
    unknown = "\ufffd"

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without bos and eos."""
        return [self._ids.get(character, UNK) for character in text]


class Words(_Listed):
    """One id per whitespace-separated word of the training text, and one per line end (WikiText's <eos>).

    A word `<unk>` in the text is the unknown word itself. Kinds of white space are not kept.
    """

    kind = "words"
    unknown = "<unk>"

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without bos and eos."""
        lines = [[self._ids.get(word, UNK) for word in line.split()] for line in text.split("\n")]
        ids = lines[0]
        for line in lines[1:]:
            ids.append(self._ids.get("\n", UNK))
            ids.extend(line)
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of ids; pad, bos and eos are skipped."""
        text = " ".join(self._symbols_of(ids))
        return re.sub(" ?\n ?", "\n", text)


class Bytes:
    """One id per UTF-8 byte."""

    kind = "bytes"
    size = len(SPECIALS) + 256

    def __init__(self) -> None:
        self.digest = hashlib.sha256(self.save()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without bos and eos."""
        return [byte + len(SPECIALS) for byte in text.encode()]

    def decode(self, ids: list[int]) -> str:
        """Text of ids; pad, bos and eos are skipped."""
        return bytes(number - len(SPECIALS) for number in ids if number > UNK).decode("utf-8", errors="replace")

    def keeps(self, text: str, ids: list[int]) -> bool:
        """Always."""
        return True

    def save(self) -> bytes:
        """The saved form."""
        return b'{"kind": "bytes"}'


def load_tokenizer(kind: str, saved: bytes) -> Tokenizer:
    """The tokenizer whose `save()` gave these bytes. Raises: ValueError where none did."""
    try:
        if kind == "sentencepiece":
            return SentencePiece(saved)
        if kind == "bytes":
            return Bytes()
        symbols = json.loads(saved)["symbols"]
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise TypeError("its symbols are no list of strings")
        return {"characters": Characters, "words": Words}[kind](symbols)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:  # SentencePiece's are RuntimeErrors
        raise ValueError(f"no saved tokenizer of kind {kind} ({type(error).__name__})") from None


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Learn a vocabulary from training text only; the same text gives the same tokenizer, byte for byte.

    Raises: ValueError where the vocabulary asked for is larger, or smaller, than the text supports.
    """
    config.check()
    if config.kind == "bytes":
        return Bytes()
    if config.kind == "characters":
        characters: set[str] = set()
        for text in texts:
            characters.update(text)
        return Characters(sorted(characters - {Characters.unknown}))
    if config.kind == "words":
        return _train_words(config, texts)
    return _train_sentencepiece(config, texts)


def _train_words(config: TokenizerConfig, texts: Iterable[str]) -> Words:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
        newlines = text.count("\n")
        if newlines:
            counts["\n"] += newlines
    counts.pop(Words.unknown, None)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    if config.vocab_size is not None:
        largest = len(SPECIALS) + len(words)
        if config.vocab_size > largest:
            raise ValueError(_too_large(config.vocab_size, largest))
        words = words[: config.vocab_size - len(SPECIALS)]
    return Words(words)


def _too_large(asked: int, largest: int) -> str:
    return (
        f"task.tokenizer.vocab_size={asked} is more than the training text supports: the largest possible value is "
        f"{largest}"
    )


def _train_sentencepiece(config: TokenizerConfig, texts: Iterable[str]) -> SentencePiece:
    import sentencepiece

    assert config.vocab_size is not None
    model = io.BytesIO()
    raised: list[BaseException] = []  # by the text: SentencePiece makes a RuntimeError of whatever it is
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_training_lines(texts, raised),
            model_writer=model,
            model_type=config.model,
            vocab_size=config.vocab_size,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            num_threads=1,  # unigram pieces depend on it
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            max_sentence_length=4 * LONGEST_LINE,  # bytes; longer lines would be skipped without a word
            minloglevel=2,
        )
    except RuntimeError as error:
        if raised:
            raise raised[0] from None
        if largest := re.search(r"set it to a value <= (\d+)", str(error)):
            raise ValueError(_too_large(config.vocab_size, int(largest[1]))) from None
        if smallest := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise ValueError(
                f"task.tokenizer.vocab_size={config.vocab_size} is too small for the training text's characters: the "
                f"smallest possible value is {smallest[1]}"
            ) from None
        raise
    return SentencePiece(model.getvalue())


LONGEST_LINE = 10_000  # characters shown to SentencePiece's trainer at once


def _training_lines(texts: Iterable[str], raised: list[BaseException]) -> Iterator[str]:
    try:
        for text in texts:
            for line in text.split("\n"):
                for start in range(0, len(line), LONGEST_LINE):
                    yield line[start : start + LONGEST_LINE]
    except BaseException as error:  # also what a signal's handler raises
        raised.append(error)
        raise
