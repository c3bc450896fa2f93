"""Scoring a model on a split: perplexities over real targets only, BLEU and chrF on detokenised text, accuracy."""

import itertools
import math
import re
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from ablations.config import RunConfig
from ablations.device import Place
from data import buckets, pairs
from data.batch import BOS, EOS, IGNORE
from data.loader import evaluation_batches
from data.prepared import Prepared
from models.decode import translate
from models.loss import target_losses
from models.transformer import Classifier, LanguageModel, Translator

# sacreBLEU's tokenisation by target language; 13a for languages that put spaces between words.
BLEU_TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}


class Scored(NamedTuple):
    """What scoring a split gives."""

    numbers: dict[str, Any]  # for the record
    hypotheses: list[str]  # translations, or the names of the classes chosen; of a language model none
    units: dict[str, np.ndarray]  # what the numbers are sums of, see `score`


def score(model: LanguageModel | Translator | Classifier, prepared: Prepared, split: str, config: RunConfig) -> Scored:
    """All numbers of a split, in float32 whatever the training precision, and what they are sums of.

    The units are sentences in the order of the corpus, or a language model's windows in the order of the text:
    `nll` float32 [N], nats summed over a unit's targets, and `tokens` int32 [N], their number; of translations `bleu`,
    see `translation_scores`; of a classifier, whose `nll` is in nats per example, `right` uint8 [N] in place of tokens.
    """
    nats, tokens = nats_by_unit(model, prepared, split, config)
    nll, count = float(nats.sum() / tokens.sum()), int(tokens.sum())
    units = {"nll": nats.astype(np.float32), "tokens": tokens.astype(np.int32)}
    if isinstance(model, Classifier):
        named, wanted = predictions(model, prepared, split, config), references(prepared, split)
        right = np.array([a == b for a, b in zip(named, wanted, strict=True)], np.uint8)
        return Scored({"nll": nll, **accuracy(named, wanted)}, named, {"right": right, "nll": units["nll"]})
    numbers: dict[str, Any] = perplexities(nll, count, prepared.facts["splits"][split])
    if isinstance(model, LanguageModel):
        context = config.task.context
        window = {"context": context, "stride": config.evaluation.stride or context}
        return Scored({**numbers, "window": window}, [], units)
    found = hypotheses(model, prepared, split, config)
    scores, counts = translation_scores(found, references(prepared, split), config.task.target_lang)
    search = {"beam": config.evaluation.beam, "length_penalty": config.evaluation.length_penalty}
    return Scored({**numbers, **scores, **search}, found, {"bleu": counts, **units})


def nats_per_token(
    model: nn.Module, prepared: Prepared, split: str, config: RunConfig, place: Place | None = None
) -> tuple[float, int]:
    """Mean negative log-likelihood over every real target of a split, each scored once, and their number.

    A target is a token, or the class of an example.
    With a `place` its processes share the work, and all of them get the answer.
    """
    nats, tokens = nats_by_unit(model, prepared, split, config, place)
    total, count = float(nats.sum()), int(tokens.sum())
    if place:
        device = next(model.parameters()).device
        total, count = place.all_reduce(torch.tensor([total, count], dtype=torch.float64, device=device)).tolist()
    return total / count, int(count)


@torch.inference_mode()
def nats_by_unit(
    model: nn.Module, prepared: Prepared, split: str, config: RunConfig, place: Place | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Nats (float64) and number of targets (int64) of every unit of a split [N], by its place in the split.

    A unit is a sentence, or a window of a language model. With a `place`, zeros where another process has the unit.
    """
    model.eval()
    device = next(model.parameters()).device
    network = cast(Any, model)  # one of models/transformer.py
    tokens, context = config.trainer.eval_batch_tokens, config.task.context
    batches = evaluation_batches(prepared, split, tokens, context, config.evaluation.stride)
    found: list[tuple[list[int], np.ndarray, np.ndarray]] = []
    units = 0
    for number, batch in enumerate(batches):
        units += len(batch.rows)
        if place and number % place.world != place.rank:
            continue
        states = network.states(**batch.to(device).inputs)
        weight, bias = network.output_map
        losses = target_losses(states, weight, bias, batch.targets.to(device))
        counts = (batch.targets != IGNORE).reshape(len(batch.rows), -1).sum(1)
        found.append((batch.rows, losses.double().reshape(len(batch.rows), -1).sum(1).cpu().numpy(), counts.numpy()))
    nats, numbers = np.zeros(units), np.zeros(units, np.int64)
    for rows, losses, counts in found:
        nats[rows], numbers[rows] = losses, counts
    return nats, numbers


def perplexities(nll: float, tokens: int, facts: dict[str, Any]) -> dict[str, float]:
    """Perplexities from one sum of nats and the split's counts of raw text.

    By token always; by word where all of the text was scored; by byte, and bits per byte, where the tokenizer also
    loses nothing of it: text that became <unk> or was cut off costs no bits, so the figure would be too good.
    """
    nats = nll * tokens
    numbers = {"nll": nll, "tokens": tokens, "token_perplexity": _exp(nll)}
    if facts.get("truncated", 0) == 0:
        numbers["word_perplexity"] = _exp(nats / facts["words"])
        if facts["lossless"]:
            numbers["byte_perplexity"] = _exp(nats / facts["bytes"])
            numbers["bits_per_byte"] = nats / facts["bytes"] / math.log(2)
    return numbers


@torch.inference_mode()
def hypotheses(model: Translator, prepared: Prepared, split: str, config: RunConfig) -> list[str]:
    """The model's translation of every source line, detokenised, in the order of the corpus, each one line."""
    model.eval()
    evaluation, context = config.evaluation, config.task.context
    device = next(model.parameters()).device
    lines = [""] * len(prepared.lines(split, "source"))
    tokens = max(1, config.trainer.eval_batch_tokens // evaluation.beam)
    lengths = np.minimum(prepared.lengths(split)[:, 0], context)
    order = np.argsort(lengths, kind="stable")  # by source alone: a search does not know the references' lengths
    for start, end in buckets.cuts(lengths[order], tokens):
        batch = pairs.collate(prepared, order[start:end], split, longest=context)
        source, mask = batch.inputs["source"].to(device), batch.inputs["source_mask"].to(device)
        limit = (1.5 * mask.sum(1) + 10).long().clamp(max=context)
        found = translate(
            model,
            source,
            mask,
            bos=BOS,
            eos=EOS,
            max_length=limit,
            beam=evaluation.beam,
            length_penalty=evaluation.length_penalty,
        )
        for row, ids in zip(batch.rows, found, strict=True):
            lines[row] = re.sub("[\r\n]+", " ", prepared.tokenizer.decode(ids))
    return lines


@torch.inference_mode()
def predictions(model: Classifier, prepared: Prepared, split: str, config: RunConfig) -> list[str]:
    """The name of the likeliest class of every sentence, in the order of the corpus."""
    model.eval()
    device = next(model.parameters()).device
    names = [""] * len(prepared.labels(split))
    for batch in evaluation_batches(prepared, split, config.trainer.eval_batch_tokens, config.task.context):
        best = model(**batch.to(device).inputs).argmax(-1).tolist()
        for row, number in zip(batch.rows, best, strict=True):
            names[row] = prepared.classes[number]
    return names


def references(prepared: Prepared, split: str) -> list[str]:
    """What the hypotheses of a split should have been: translations, or names of classes."""
    if prepared.kind == "translation":
        return prepared.lines(split, "target")
    return [prepared.classes[number] for number in prepared.labels(split)]


def samples(prepared: Prepared, split: str, hypotheses: list[str], count: int) -> list[dict[str, str]]:
    """The first hypotheses of a split beside source and reference."""
    sources = prepared.lines(split, "source" if prepared.kind == "translation" else "text")
    rows = zip(sources, references(prepared, split), hypotheses, strict=True)
    return [
        {"split": split, "source": source, "reference": reference, "hypothesis": hypothesis}
        for source, reference, hypothesis in itertools.islice(rows, count)
    ]


def translation_scores(found: list[str], references: list[str], target_lang: str) -> tuple[dict[str, Any], np.ndarray]:
    """SacreBLEU's BLEU, also of lower-cased text, and chrF, with their signatures, and the share of exact lines.

    These are in percent; a line is exact if it equals its reference. And what BLEU is a function of the sums of, in
    sacreBLEU's tokenisation: of every line the lengths of hypothesis and reference and its correct n-grams for n from 1
    to 4, int16 (int32 where they are large) [N, 6]. A hypothesis of length L has max(0, L - n + 1) n-grams.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    assert len(found) == len(references), "sacreBLEU would cut the longer list without a word"
    tokenizer = BLEU_TOKENIZERS.get(target_lang, "13a")
    bleu, lowercase, chrf = BLEU(tokenize=tokenizer), BLEU(tokenize=tokenizer, lowercase=True), CHRF()
    counts = np.array(bleu._extract_corpus_statistics(found, [references]), np.int32)  # what `corpus_score` sums up
    scores = {
        "bleu": bleu._compute_score_from_stats(counts.sum(0).tolist()).score,
        "bleu_signature": str(bleu.get_signature()),
        "bleu_lowercase": lowercase.corpus_score(found, [references]).score,
        "bleu_lowercase_signature": str(lowercase.get_signature()),
        "chrf": chrf.corpus_score(found, [references]).score,
        "chrf_signature": str(chrf.get_signature()),
        "exact_match": 100 * sum(a == b for a, b in zip(found, references, strict=True)) / len(references),
    }
    return scores, counts[:, :6].astype(np.int16 if counts.max() < 2**15 else np.int32)


def accuracy(found: list[str], wanted: list[str]) -> dict[str, float]:
    """Share of examples told right, in percent, with Wilson's 95 % interval for it (1927), and their number.

    The interval is of one trained model over sentences drawn anew; it knows nothing of other seeds.
    """
    from scipy.stats import binomtest

    right = sum(a == b for a, b in zip(found, wanted, strict=True))
    interval = binomtest(right, len(wanted)).proportion_ci(confidence_level=0.95, method="wilson")
    return {
        "accuracy": 100 * right / len(wanted),
        "accuracy_low": 100 * interval.low,
        "accuracy_high": 100 * interval.high,
        "examples": len(wanted),
    }


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
