import dataclasses

import pytest

from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.tokenizer import train_tokenizer


def test_sound_tasks_pass() -> None:
    TaskConfig().check()
    TaskConfig("Multi30k-en.de_2", "translation", test=["valid", "test"], context=1).check()
    for tokenizer in (
        TokenizerConfig("bytes", vocab_size=None),
        TokenizerConfig("characters", vocab_size=3),  # read by nobody
        TokenizerConfig("words", vocab_size=None),
        TokenizerConfig("words", vocab_size=5),
        TokenizerConfig("sentencepiece", "unigram", 261),
    ):
        tokenizer.check()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "-x", "a b", "a\n", "C:x", "Wörter"])
def test_a_name_that_names_no_folder_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names a folder"):
        TaskConfig(name).check()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "language_modelling"}, "did you mean 'language_modeling'"),
        ({"kind": "?"}, r"is unknown \(known: language_modeling, translation, classification\)"),
        ({"context": 0}, "context=0 must be at least 1"),
        ({"test": ["train"]}, "task.test holds train"),
        ({"test": ["test", "train"]}, "task.test holds train"),
        ({"test": ["test", "valid", "test"]}, r"test=\[test,valid,test\] names a split twice"),
        ({"corpus": CorpusConfig(rows="line")}, "did you mean 'lines'"),
        ({"tokenizer": TokenizerConfig("sentencepieces")}, "did you mean 'sentencepiece'"),
        ({"tokenizer": TokenizerConfig(model="ngram")}, "did you mean 'unigram'"),
        ({"tokenizer": TokenizerConfig(vocab_size=260)}, "sentencepiece needs 261 entries or more"),
        ({"tokenizer": TokenizerConfig(vocab_size=None)}, "needs a number"),
        ({"tokenizer": TokenizerConfig("words", vocab_size=4)}, "words needs 5 entries or more"),
    ],
)
def test_a_task_that_cannot_be_prepared_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        dataclasses.replace(TaskConfig(), **change).check()  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_essentials_are_what_decides_the_vocabulary() -> None:
    """Tokenizers with the same essentials are one tokenizer; those that differ in them are not."""
    text = ["a tale of two cats, and of a mat on which the cats sat", "the dog that sat on the mat"] * 9
    learnt: dict[str, set[str]] = {}
    for kind in ("characters", "bytes", "words", "sentencepiece"):
        for model in ("bpe", "unigram"):
            for size in (280, 281) if kind == "sentencepiece" else (8, 9):
                config = TokenizerConfig(kind, model, size)
                learnt.setdefault(repr(config.essentials()), set()).add(train_tokenizer(config, text).digest)
    assert all(len(digests) == 1 for digests in learnt.values())
    assert len(set.union(*learnt.values())) == len(learnt) == 1 + 1 + 2 + 4
