import pytest

from data.batch import BOS, EOS, PAD, UNK
from data.builtin import python_docs
from data.config import TokenizerConfig
from data.tokenizer import Bytes, Tokenizer, load_tokenizer, train_tokenizer

TEXT = python_docs()["train"][:6]
NASTY = [
    "",
    " ",
    "a  b \t c",
    " leading and trailing  ",
    "é 😀 \u00a0 全角 e\u0301 ﬁ ½",
    "two\n\n  lines\n",
    "\r\n lone \r return",
    "\u2581the space mark\u2581\u2581 itself \u2581",
    "x\n\u2581y",
    "<s> </s> <unk> <0x41> <pad>",
    "nul \0, line separator \u2028, next line \x85",
]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def subwords(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(TokenizerConfig("sentencepiece", request.param, 700), TEXT)


@pytest.mark.parametrize("text", NASTY)
def test_sentencepiece_and_bytes_lose_nothing(subwords: Tokenizer, text: str) -> None:
    for tokenizer in (subwords, Bytes()):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert not {PAD, BOS, EOS, UNK} & set(ids), "no text can spell a special"
        assert tokenizer.decode([BOS, *ids, EOS, PAD]) == text
        assert all(0 <= number < tokenizer.size for number in ids)


def test_a_newline_is_a_boundary(subwords: Tokenizer) -> None:
    """So that long documents may be encoded block by block: the arrays do not depend on the block size."""
    words = train_tokenizer(TokenizerConfig("words", vocab_size=None), TEXT)
    characters = train_tokenizer(TokenizerConfig("characters"), TEXT)
    for tokenizer in (subwords, words, characters, Bytes()):
        parts = ["The  statement", "", " x = 1 ", "end"]
        (newline,) = tokenizer.encode("\n")
        joined = [number for part in parts for number in [newline, *tokenizer.encode(part)]][1:]
        assert tokenizer.encode("\n".join(parts)) == joined


def test_what_is_kept_is_told_as_it_is(subwords: Tokenizer) -> None:
    """By every kind, of texts with known and unknown symbols, odd white space, and the unknown symbols themselves."""
    texts = [
        *NASTY,
        *TEXT,
        "class of the\n\nclass",
        "the \n class",
        "the class ",
        "\tthe",
        "the  class",
        "<unk>",
        "\ufffd",
    ]
    lost: dict[str, int] = {}
    for kind in ("words", "characters", "bytes", "sentencepiece"):
        tokenizer = (
            subwords if kind == "sentencepiece" else train_tokenizer(TokenizerConfig(kind, vocab_size=None), TEXT)
        )
        for text in texts:
            ids = tokenizer.encode(text)
            assert tokenizer.keeps(text, ids) == (tokenizer.decode(ids) == text and UNK not in ids)
            lost[kind] = lost.get(kind, 0) + (not tokenizer.keeps(text, ids))
    assert lost["bytes"] == lost["sentencepiece"] == 0 < lost["characters"] < lost["words"] < len(texts)


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_the_same_text_gives_the_same_tokenizer(model: str) -> None:
    one, twin, other = (train_tokenizer(TokenizerConfig("sentencepiece", model, n), TEXT) for n in (700, 700, 701))
    assert one.digest == twin.digest != other.digest
    loaded = load_tokenizer("sentencepiece", one.save())
    assert loaded.digest == one.digest and loaded.encode(TEXT[0]) == one.encode(TEXT[0])


def test_listed_kinds_know_training_symbols_and_admit_the_rest() -> None:
    words = train_tokenizer(TokenizerConfig("words", vocab_size=None), ["b a b\n<unk> c\n"])
    assert words.size == 4 + 4  # b, newline, a, c; the text's <unk> is the unknown word
    assert words.decode(words.encode("a b\nc zebra\n")) == "a b\nc <unk>\n"
    assert words.encode("<unk>") == words.encode("zebra") == [UNK]
    characters = train_tokenizer(TokenizerConfig("characters"), ["hello\n"])
    assert characters.size == 4 + 5
    assert characters.decode(characters.encode("hole\n?")) == "hole\n\ufffd"
    for tokenizer in (words, characters):
        assert load_tokenizer(tokenizer.kind, tokenizer.save()).digest == tokenizer.digest


@pytest.mark.parametrize(("kind", "model"), [("sentencepiece", "bpe"), ("sentencepiece", "unigram"), ("words", "bpe")])
def test_a_vocabulary_beyond_the_text_is_refused_with_the_largest_value(kind: str, model: str) -> None:
    text = ["the cat sat on the mat", "the dog sat on the cat", "a catalogue of mats"] * 4
    with pytest.raises(ValueError, match="largest possible value is") as refused:
        train_tokenizer(TokenizerConfig(kind, model, 50_000), text)
    largest = int(str(refused.value).rsplit(" ", 1)[1])
    assert train_tokenizer(TokenizerConfig(kind, model, largest), text).size == largest
    with pytest.raises(ValueError, match="largest possible value is"):
        train_tokenizer(TokenizerConfig(kind, model, largest + 1), text)


def test_a_vocabulary_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 261 entries or more"):
        train_tokenizer(TokenizerConfig("sentencepiece", vocab_size=260), TEXT)
    with pytest.raises(ValueError, match="smallest possible value is"):
        train_tokenizer(TokenizerConfig("sentencepiece", vocab_size=262), TEXT)


def test_long_lines_teach_too() -> None:
    """SentencePiece's trainer skips lines beyond its limit without a word."""
    line = "antidisestablishmentarianism " * 2000 + "xylophone " * 2000
    tokenizer = train_tokenizer(TokenizerConfig("sentencepiece", vocab_size=310), [line])
    assert len(tokenizer.encode("antidisestablishmentarianism")) < 10
    assert len(tokenizer.encode("xylophone")) < 5


@pytest.mark.parametrize("error", [OSError("the disk"), SystemExit(143), KeyboardInterrupt()])
def test_what_goes_wrong_while_the_text_is_read_is_not_hidden(error):
    """SentencePiece would make a RuntimeError of it, also of being told to stop."""

    def texts():
        yield "some text\n" * 100
        raise error

    with pytest.raises(type(error)) as told:
        train_tokenizer(TokenizerConfig(vocab_size=300), texts())
    assert told.value is error
