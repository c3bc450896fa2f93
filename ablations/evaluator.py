"""Scoring a model on a split: perplexities over real targets only, BLEU and chrF on detokenised text, accuracy."""

import itertools
import math
import re
from typing import Any

import numpy as np
import torch
from torch import nn

from ablations.config import RunConfig
from ablations.device import Place
from data import buckets, pairs
from data.batch import BOS, EOS
from data.loader import evaluation_batches
from data.prepared import Prepared
from models.decode import translate
from models.loss import Objective
from models.transformer import Classifier, LanguageModel, Translator

# sacreBLEU's tokenisation by target language; 13a for languages that put spaces between words.
BLEU_TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}


def score(
    model: LanguageModel | Translator | Classifier, prepared: Prepared, split: str, config: RunConfig
) -> tuple[dict[str, Any], list[str]]:
    """All numbers of a split for the record, in float32 whatever the training precision, and the hypotheses.

    A classifier's hypotheses are the names of the classes it chose, and its `nll` is in nats per example.
    """
    nll, count = nats_per_token(model, prepared, split, config)
    if isinstance(model, Classifier):
        named = predictions(model, prepared, split, config)
        return {"nll": nll, **accuracy(named, references(prepared, split))}, named
    numbers: dict[str, Any] = perplexities(nll, count, prepared.facts["splits"][split])
    if isinstance(model, LanguageModel):
        context = config.task.context
        return {**numbers, "window": {"context": context, "stride": config.evaluation.stride or context}}, []
    found = hypotheses(model, prepared, split, config)
    scores = translation_scores(found, references(prepared, split), config.task.target_lang)
    search = {"beam": config.evaluation.beam, "length_penalty": config.evaluation.length_penalty}
    return {**numbers, **scores, **search}, found


@torch.inference_mode()
def nats_per_token(
    model: nn.Module, prepared: Prepared, split: str, config: RunConfig, place: Place | None = None
) -> tuple[float, int]:
    """Mean negative log-likelihood over every real target of a split, each scored once, and their number.

    A target is a token, or the class of an example.
    With a `place` its processes share the work, and all of them get the answer.
    """
    model.eval()
    device = next(model.parameters()).device
    total, count, losses = 0.0, 0, Objective(model)
    tokens, context = config.trainer.eval_batch_tokens, config.task.context
    batches = evaluation_batches(prepared, split, tokens, context, config.evaluation.stride)
    for batch in itertools.islice(batches, place.rank, None, place.world) if place else batches:
        loss, _ = losses(batch.to(device).inputs, batch.targets.to(device))
        total, count = total + loss.double().item(), count + batch.tokens
    if place:
        total, count = place.all_reduce(torch.tensor([total, count], dtype=torch.float64, device=device)).tolist()
    return total / count, int(count)


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


def translation_scores(found: list[str], references: list[str], target_lang: str) -> dict[str, Any]:
    """SacreBLEU's BLEU and chrF with their signatures, and the share of lines equal to the reference, in percent."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    assert len(found) == len(references), "sacreBLEU would cut the longer list without a word"
    bleu, chrf = BLEU(tokenize=BLEU_TOKENIZERS.get(target_lang, "13a")), CHRF()
    return {
        "bleu": bleu.corpus_score(found, [references]).score,
        "bleu_signature": str(bleu.get_signature()),
        "chrf": chrf.corpus_score(found, [references]).score,
        "chrf_signature": str(chrf.get_signature()),
        "exact_match": 100 * sum(a == b for a, b in zip(found, references, strict=True)) / len(references),
    }


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
