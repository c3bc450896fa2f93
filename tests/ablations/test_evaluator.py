"""Scores against their definitions: slow, obvious twins, arithmetic done by hand, and sacreBLEU asked directly."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch
from torch import nn

from ablations import evaluator
from ablations.config import EvaluationConfig, RunConfig, TrainerConfig
from ablations.evaluator import (
    accuracy,
    hypotheses,
    nats_by_unit,
    nats_per_token,
    perplexities,
    samples,
    score,
    translation_scores,
)
from ablations.model import build
from ablations.track.outcome import flat
from data.batch import BOS, EOS
from data.config import CorpusConfig, TaskConfig, TokenizerConfig
from data.prepare import prepare
from data.prepared import Prepared
from models.loss import summed_losses, target_losses
from models.transformer import Classifier, LanguageModel, Translator
from tests.ablations.cells import config

pytestmark = pytest.mark.usefixtures("one_thread")

GREEDY = EvaluationConfig(beam=1)
VALID = "ab c\nd é\n"  # 4 words, 2 lines, 10 bytes, 9 characters


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A language modelling task in bytes, whose counts can be checked by eye."""
    folder = tmp_path_factory.mktemp("text")
    splits = {"train": "some text to learn from\n" * 20, "valid": VALID, "test": "".join(map(chr, range(40, 120))) * 3}
    for split, words in splits.items():
        (folder / f"{split}.txt").write_text(words, encoding="utf-8")
    corpus = CorpusConfig(files={split: f"{split}.txt" for split in splits})
    task = TaskConfig("bytes", "language_modeling", corpus, TokenizerConfig("bytes"), context=16)
    return prepare(task, str(folder), str(folder / "cache"))


@pytest.fixture(scope="module")
def pairs(cache: Path) -> Prepared:
    """Strings of 3 to 6 symbols and their reversals."""
    return prepare(config(cache, cache).task, None, str(cache))


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Three classes, 60 sentences to test, some of them longer than a model holds."""
    folder = tmp_path_factory.mktemp("opinions")
    for split, count in (("train", 30), ("valid", 12), ("test", 60)):
        rows = (f"{'abc'[i % 3]}\t{'so ' * (i % 10)}{'word' if i % 2 else 'other word'}\n" for i in range(count))
        (folder / f"{split}.tsv").write_text("label\ttext\n" + "".join(rows))
    corpus = CorpusConfig(files={split: f"{split}.tsv" for split in ("train", "valid", "test")})
    task = TaskConfig("opinions", "classification", corpus, TokenizerConfig("words", vocab_size=None), context=8)
    return prepare(task, str(folder), str(folder / "cache"))


def classifier(prepared: Prepared, cache: Path) -> Classifier:
    asked = config(cache, cache, "model.dropout=0.5")
    asked.task = prepared.task
    model = build(asked, prepared)
    assert isinstance(model, Classifier)
    with torch.no_grad():  # weights large enough to tell sentences apart
        for parameter in model.parameters():
            parameter *= 4
    return model


def language_model(prepared: Prepared, cache: Path, *overrides: str) -> LanguageModel:
    asked = config(cache, cache, *overrides)
    asked.task = prepared.task
    model = build(asked, prepared)
    assert isinstance(model, LanguageModel)
    return model


def translator(prepared: Prepared, cache: Path, *overrides: str) -> Translator:
    model = build(config(cache, cache, *overrides), prepared)
    assert isinstance(model, Translator)
    return model


class Bigrams(nn.Module):
    """Logits that depend on the last token alone: what a token costs is then the same wherever a window begins."""

    def __init__(self, vocabulary: int, spread: float = 1.0):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.logits = nn.Parameter(spread * torch.randn(vocabulary, vocabulary, generator=draw))

    def states(self, tokens=None, source=None, source_mask=None, target=None):
        return self.logits[tokens if tokens is not None else target]

    @property
    def output_map(self):
        return torch.eye(len(self.logits)), None


def nats(prepared: Prepared, model: nn.Module, split: str = "test", batch: int = 64, stride: int | None = None):
    return nats_per_token(model, prepared, split, scoring(prepared, EvaluationConfig(stride=stride), batch))


def scoring(prepared: Prepared, evaluation: EvaluationConfig, batch: int) -> RunConfig:
    """What the evaluator reads of a run's configuration."""
    return RunConfig(task=prepared.task, evaluation=evaluation, trainer=TrainerConfig(eval_batch_tokens=batch))


# ---- negative log-likelihood


def test_knowing_nothing_costs_the_logarithm_of_the_vocabulary(text: Prepared, pairs: Prepared):
    for prepared in (text, pairs):
        vocabulary = prepared.tokenizer.size
        nll, count = nats(prepared, Bigrams(vocabulary, spread=0.0))
        assert nll == pytest.approx(math.log(vocabulary), rel=1e-6)
        assert count == prepared.facts["splits"]["test"]["tokens"]


def test_every_target_counts_once_and_padding_never(text: Prepared, pairs: Prepared):
    """The mean over all batches is the mean over the sequences, each read alone, straight from the arrays."""
    for prepared in (text, pairs):
        model = Bigrams(prepared.tokenizer.size)
        log_p = model.logits.detach().double().log_softmax(-1)
        if prepared is text:
            stream = prepared.stream("test").astype(int).tolist()
            sequences = [(stream[:-1], stream[1:])]
        else:
            flat, offsets = prepared.side("test", "target")
            sentences = [flat[a:b].astype(int).tolist() for a, b in zip(offsets, offsets[1:], strict=False)]
            sequences = [([BOS, *ids[:-1]], ids) for ids in sentences]
        costs = [-log_p[a, b].item() for before, after in sequences for a, b in zip(before, after, strict=True)]
        for stride in (None, 1, 5) if prepared is text else (None,):
            assert nats(prepared, model, stride=stride) == (pytest.approx(sum(costs) / len(costs)), len(costs))


@pytest.mark.parametrize("stride", [1, 5, 16])
def test_a_window_scores_what_lies_behind_the_one_before(text: Prepared, cache: Path, stride: int):
    """The twin feeds every target's own history alone: all its window holds before it and no more."""
    model = language_model(text, cache).eval()
    stream = torch.from_numpy(text.stream("test").astype("int64"))
    context, total = text.task.context, 0.0
    with torch.no_grad():
        for target in range(1, len(stream)):
            windows_before = max(0, -(-(target - context) // stride))
            history = stream[windows_before * stride : target]
            total -= model(history[None])[0, -1].log_softmax(-1)[stream[target]].item()
    assert nats(text, model, stride=stride)[0] == pytest.approx(total / (len(stream) - 1), rel=1e-5)


@pytest.mark.parametrize("kind", ["language_modeling", "translation"])
def test_scores_depend_on_the_model_alone(text: Prepared, pairs: Prepared, cache: Path, kind: str):
    """Not on how much is scored at once, on dropout, or on chance; and nobody else's random numbers are used up."""
    prepared = text if kind == "language_modeling" else pairs
    make = language_model if kind == "language_modeling" else translator
    model = make(prepared, cache, "model.dropout=0.5", "model.attention_dropout=0.5")
    evaluation = EvaluationConfig(beam=3)
    answers = []
    for batch in (16, 50, 4000):
        model.train()
        before = torch.get_rng_state()
        answers.append(score(model, prepared, "test", scoring(prepared, evaluation, batch)))
        assert torch.equal(before, torch.get_rng_state())
    first = answers[0]
    for numbers, found, units in answers[1:]:
        assert found == first.hypotheses
        assert flat({"": numbers}) == pytest.approx(flat({"": first.numbers}), rel=1e-6)
        assert units.keys() == first.units.keys()
        for name, array in units.items():  # which number belongs to which sentence or window, too
            assert array.dtype == first.units[name].dtype
            np.testing.assert_allclose(array, first.units[name], rtol=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


# ---- perplexities


def test_perplexities_by_hand():
    """6 tokens of ln 4 nats are 12 bits, over 3 words and 12 bytes."""
    found = perplexities(math.log(4), 6, {"words": 3, "bytes": 12, "lossless": True})
    assert found == pytest.approx(
        {
            "nll": math.log(4),
            "tokens": 6,
            "token_perplexity": 4,
            "word_perplexity": 16,
            "byte_perplexity": 2,
            "bits_per_byte": 1,
        }
    )


@pytest.mark.parametrize(
    ("facts", "missing"),
    [({"lossless": False}, {"byte_perplexity", "bits_per_byte"}),
     ({"lossless": True, "truncated": 1}, {"word_perplexity", "byte_perplexity", "bits_per_byte"})],
)  # fmt: skip
def test_text_that_was_not_scored_whole_is_not_divided_by(facts: dict, missing: set[str]):
    """A word that became <unk>, or was cut off, costs no bits: the figure would be too good."""
    whole = perplexities(1.0, 6, {"words": 3, "bytes": 12, "lossless": True})
    assert whole.keys() - perplexities(1.0, 6, {"words": 3, "bytes": 12, **facts}).keys() == missing


def test_a_perplexity_beyond_floats_is_infinite_not_an_error():
    found = perplexities(1.0, 10_000, {"words": 1, "bytes": 50_000, "lossless": True})
    assert found["word_perplexity"] == math.inf and found["byte_perplexity"] == pytest.approx(math.exp(0.2))


@pytest.mark.parametrize(("newline_is_word", "words"), [(False, 4), (True, 6)])
def test_word_perplexity_counts_newlines_where_the_task_says_so(text: Prepared, newline_is_word: bool, words: int):
    """WikiText counts the end of a line as a word: the same nats over more words."""
    task = TaskConfig(**{**vars(text.task), "newline_is_word": newline_is_word})
    prepared = Prepared(text.folder, task, text.manifest)
    model, vocabulary = Bigrams(text.tokenizer.size, spread=0.0), text.tokenizer.size
    nll, count = nats(prepared, model, "valid")
    found = perplexities(nll, count, prepared.facts["splits"]["valid"])
    assert count == len(VALID.encode()) == 10
    assert found["word_perplexity"] == pytest.approx(vocabulary ** (10 / words), rel=1e-5)
    assert found["byte_perplexity"] == pytest.approx(vocabulary, rel=1e-5)


def test_a_language_model_has_no_bleu_and_says_its_window(text: Prepared, cache: Path):
    model = language_model(text, cache)
    numbers, found, _ = score(model, text, "valid", scoring(text, EvaluationConfig(stride=4), 64))
    assert found == [] and not {"bleu", "chrf", "exact_match", "beam"} & numbers.keys()
    assert numbers["window"] == {"context": 16, "stride": 4}
    assert score(model, text, "valid", scoring(text, EvaluationConfig(), 64))[0]["window"]["stride"] == 16


# ---- what scores are sums of


def bleu_of(sums: list[int]) -> float:
    """Papineni et al. 2002 from the six sums, with sacreBLEU's smoothing: the n-th empty count in turn is 1 / 2^n."""
    hypothesis, reference, *correct = sums[:6]
    totals = sums[6:]
    if not any(correct):
        return 0.0
    empty, logs = 0, 0.0
    for right, total in zip(correct, totals, strict=True):
        if total == 0:
            return 0.0
        empty += right == 0
        logs += math.log((right or 0.5**empty) / total)
    return 100 * min(1.0, math.exp(1 - reference / hypothesis)) * math.exp(logs / 4)


def test_the_sentences_counts_add_up_to_bleu():
    """Any subset of the sentences has the BLEU that sacreBLEU gives it: tests may draw sentences anew."""
    found = ["The cat sat on the mat.", "I like to drink tea", "", "It is a nice day today.", "no", "tea , too ."]
    wanted = [
        "The cat sat on the mat.",
        "I like to drink tea.",
        "Yes.",
        "It's a nice day today.",
        "no",
        "Green tea too.",
    ]
    scores, counts = translation_scores(found, wanted, "en")
    assert (counts.shape, counts.dtype) == ((6, 6), np.int16)
    assert counts[0].tolist() == [7, 7, 7, 6, 5, 4] and counts[2].tolist() == [0, 2, 0, 0, 0, 0]
    for chosen in ([0, 1, 2, 3, 4, 5], [0], [1, 3], [2, 3, 5], [3, 3, 0]):
        rows = counts[chosen].astype(int)
        totals = [np.maximum(0, rows[:, 0] - n).sum() for n in range(4)]
        own = [found[i] for i in chosen], [wanted[i] for i in chosen]
        assert bleu_of([*rows.sum(0), *totals]) == pytest.approx(translation_scores(*own, "en")[0]["bleu"], abs=1e-9)
    assert scores["bleu"] > 0


def test_long_lines_are_counted_in_full():
    line = "a " * 40_000
    _, counts = translation_scores([line], [line], "en")
    assert counts.dtype == np.int32 and counts[0].tolist() == [40_000, 40_000, 40_000, 39_999, 39_998, 39_997]


@pytest.mark.parametrize("batch", [16, 50, 4000])
def test_every_sentence_and_window_has_its_own_nats(text: Prepared, pairs: Prepared, batch: int):
    """The twin reads one unit after the other, straight from the arrays."""
    for prepared, stride in ((pairs, None), (text, None), (text, 5)):
        model = Bigrams(prepared.tokenizer.size)
        log_p = model.logits.detach().double().log_softmax(-1)
        if prepared is text:
            stream = prepared.stream("test").astype(int).tolist()
            step, context, ends = stride or 16, 16, [0]
            while ends[-1] < len(stream) - 1:
                ends.append(min(len(stream) - 1, ends[-1] + (context if ends == [0] else step)))
            units = [list(zip(stream[a:b], stream[a + 1 : b + 1], strict=True)) for a, b in itertools.pairwise(ends)]
        else:
            flat, offsets = prepared.side("test", "target")
            sentences = [flat[a:b].astype(int).tolist() for a, b in itertools.pairwise(offsets)]
            units = [list(zip([BOS, *ids[:-1]], ids, strict=True)) for ids in sentences]
        nats, tokens = nats_by_unit(model, prepared, "test", scoring(prepared, EvaluationConfig(stride=stride), batch))
        assert tokens.tolist() == [len(unit) for unit in units]
        assert nats.tolist() == pytest.approx([-sum(log_p[a, b].item() for a, b in unit) for unit in units], rel=1e-5)


@pytest.mark.parametrize("vocabulary", [12, 3000])
def test_a_target_s_own_loss_adds_up_to_the_batch_s(vocabulary: int):
    """Whatever is held at once: of the larger vocabulary a chunk is 349 of the 500 tokens."""
    draw = torch.Generator().manual_seed(0)
    states, weight = torch.randn(5, 100, 8, generator=draw), torch.randn(vocabulary, 8, generator=draw)
    bias, targets = torch.randn(vocabulary, generator=draw), torch.randint(-1, vocabulary, (5, 100), generator=draw)
    found = target_losses(states, weight, bias, targets)
    assert found.shape == (5, 100) and (found[targets < 0] == 0).all() and (found[targets >= 0] > 0).all()
    assert found.sum().item() == pytest.approx(summed_losses(states, weight, bias, targets, 0.0)[0].item(), rel=1e-5)


# ---- translations


@pytest.mark.parametrize(("target", "tokenizer"), [("de", "13a"), ("en", "13a"), ("toy", "13a"), ("zh", "zh")])
def test_translation_scores_are_sacrebleu_s_own(target: str, tokenizer: str):
    if tokenizer == "zh":
        found = ["猫坐在垫子上。", "我喜欢喝绿茶。", "今天天气好。"]
        references = ["猫坐在垫子上。", "我很喜欢喝绿茶。", "今天的天气很好。"]
    else:
        found = ["The cat sat on the mat.", "I like to drink tea", "It is a nice day today."]
        references = ["The cat sat on the mat.", "I like to drink tea.", "It's a nice day today."]
    scores, _ = translation_scores(found, references, target)
    assert scores["bleu"] == sacrebleu.corpus_bleu(found, [references], tokenize=tokenizer).score
    assert scores["chrf"] == sacrebleu.corpus_chrf(found, [references]).score
    assert 0 < scores["bleu"] < 100 and 0 < scores["chrf"] < 100
    assert scores["exact_match"] == pytest.approx(100 / 3)
    parts = scores["bleu_signature"].split("|")
    assert f"tok:{tokenizer}" in parts and f"version:{sacrebleu.__version__}" in parts and "case:mixed" in parts
    assert "nc:6" in scores["chrf_signature"].split("|") and "nw:0" in scores["chrf_signature"].split("|")


def test_bleu_is_of_detokenised_text():
    """13a splits the full stop off by itself: a hypothesis that did so before gains nothing, and is not exact."""
    references = ["the small cat sleeps on the mat.", "we like green tea, too."]
    split = [line.replace(".", " .").replace(",", " ,") for line in references]
    same, apart = (translation_scores(found, references, "en")[0] for found in (references, split))
    assert same["bleu"] == pytest.approx(100) and same["exact_match"] == 100
    assert apart["bleu"] == pytest.approx(100) and apart["exact_match"] == 0


def test_a_lost_hypothesis_is_our_bug_not_a_lower_score():
    with pytest.raises(AssertionError):
        translation_scores(["one"], ["one", "two"], "de")


def echo(told: list[dict]):
    """A translator that gives the source back, and what it was asked."""

    def translate(model, source, mask, **options):
        told.append({"rows": len(source), "lengths": mask.sum(1).tolist(), **options})
        return [[token for token in row[keep].tolist() if token != EOS] for row, keep in zip(source, mask, strict=True)]

    return translate


def test_hypotheses_come_in_the_order_of_the_corpus(pairs: Prepared, cache: Path, monkeypatch):
    told: list[dict] = []
    monkeypatch.setattr(evaluator, "translate", echo(told))
    sources = pairs.lines("test", "source")
    assert hypotheses(translator(pairs, cache), pairs, "test", scoring(pairs, GREEDY, 24)) == sources
    lengths = [length for asked in told for length in asked["lengths"]]
    assert lengths == sorted(lengths) != [len(line.split()) + 1 for line in sources], "though decoded by length"


def test_the_search_is_the_one_asked_for(pairs: Prepared, cache: Path, monkeypatch):
    told: list[dict] = []
    monkeypatch.setattr(evaluator, "translate", echo(told))
    asked = EvaluationConfig(beam=4, length_penalty=0.6)
    hypotheses(translator(pairs, cache), pairs, "test", scoring(pairs, asked, 64))
    context = pairs.task.context
    for batch in told:
        assert (batch["beam"], batch["length_penalty"], batch["bos"], batch["eos"]) == (4, 0.6, BOS, EOS)
        assert batch["rows"] * max(batch["lengths"]) * 4 <= 64, "beams share the room of a batch"
        assert batch["max_length"].tolist() == [min(context, int(1.5 * n + 10)) for n in batch["lengths"]]


def test_more_beams_than_room_are_searched_sentence_by_sentence(pairs: Prepared, cache: Path, monkeypatch):
    told: list[dict] = []
    monkeypatch.setattr(evaluator, "translate", echo(told))
    found = hypotheses(translator(pairs, cache), pairs, "test", scoring(pairs, EvaluationConfig(beam=50), 8))
    assert found == pairs.lines("test", "source") and {batch["rows"] for batch in told} == {1}


def test_a_hypothesis_is_one_line(pairs: Prepared, cache: Path, monkeypatch):
    """Hypotheses are kept one per line; a model that writes in bytes can write a line break."""
    monkeypatch.setattr(evaluator, "translate", echo([]))
    monkeypatch.setattr(pairs.tokenizer, "decode", lambda ids: "two\nlines\r")
    found = hypotheses(translator(pairs, cache), pairs, "test", scoring(pairs, GREEDY, 64))
    assert set(found) == {"two lines "}


# ---- classification


def test_accuracy_and_its_interval_by_hand():
    """Wilson 1927: for 8 of 10, (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), z = 1.96."""
    found = accuracy(list("aaaaabbbcc"), list("aaaaabbbaa"))
    z, p, n = 1.959964, 0.8, 10
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    assert found == pytest.approx({"accuracy": 80, "accuracy_low": low, "accuracy_high": high, "examples": 10})
    assert accuracy(["a"], ["a"])["accuracy_high"] == 100 and accuracy(["a"], ["b"])["accuracy_low"] == 0
    with pytest.raises(ValueError):
        accuracy(["a"], ["a", "b"])


@pytest.mark.parametrize("batch", [8, 20, 4000])
def test_a_classifier_is_scored_sentence_by_sentence_whatever_the_batch(opinions: Prepared, cache: Path, batch: int):
    """The twin reads each sentence alone, from its text, without padding; what the model cannot hold is cut."""
    model = classifier(opinions, cache)
    asked = scoring(opinions, EvaluationConfig(), batch)
    before = torch.get_rng_state()
    numbers, found, units = score(model, opinions, "test", asked)
    assert torch.equal(before, torch.get_rng_state())
    sentences = opinions.lines("test")
    labels = ["abc"[i % 3] for i in range(60)]
    costs, wanted = [], []
    with torch.no_grad():
        for sentence, label in zip(sentences, labels, strict=True):
            tokens = torch.tensor([[BOS, *opinions.tokenizer.encode(sentence)][:8]])
            log_p = model(tokens, torch.ones_like(tokens, dtype=torch.bool))[0].log_softmax(-1)
            costs.append(-log_p["abc".index(label)].item())
            wanted.append("abc"[int(log_p.argmax())])
    assert found == wanted and len(set(found)) > 1
    assert numbers["nll"] == pytest.approx(sum(costs) / 60, rel=1e-5)
    assert units["nll"].tolist() == pytest.approx(costs, rel=1e-5)
    assert units["right"].tolist() == [a == b for a, b in zip(wanted, labels, strict=True)]
    assert {name: str(array.dtype) for name, array in units.items()} == {"right": "uint8", "nll": "float32"}
    right = sum(a == b for a, b in zip(found, labels, strict=True))
    assert numbers["accuracy"] == pytest.approx(100 * right / 60) and numbers["examples"] == 60
    assert not {"token_perplexity", "bleu", "window", "beam"} & numbers.keys()
    shown = samples(opinions, "test", found, 2)
    assert shown[1] == {"split": "test", "source": "so word", "reference": "b", "hypothesis": found[1]}
