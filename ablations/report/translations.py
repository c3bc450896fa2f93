"""Translations side by side: each setting's hypothesis, its differences to the reference, sentence BLEU and chrF."""

import difflib
import functools
import re
from typing import Any

from ablations.report.parts import Record, Study, settings

SAME, ADDED, MISSING = 0, 1, 2
KEYS = ("split", "source", "reference")


def data(studies: list[Study]) -> list[dict[str, Any]]:
    """Per study and task of translators: settings, seeds, and per sentence what each run made of it.

    A hypothesis is [setting, seed, pieces, BLEU, chrF], a piece [kind, words]: the same in the reference, added to it
    or missing from it.
    """
    found = []
    for study in studies:
        for task, runs in study.by_task.items():
            sentences: dict[tuple[str, str, str], list[Any]] = {}
            for number, group in enumerate(runs.values()):
                for run in group:
                    for sample in _samples(run):
                        split, source, reference = (str(sample.get(key) or "") for key in KEYS)
                        hypothesis = str(sample.get("hypothesis") or "")
                        sentences.setdefault((split, source, reference), []).append((number, run["seed"], hypothesis))
            if sentences:
                tokenizer = _tokenizer(study.runs, task)
                seeds = sorted({seed for group in sentences.values() for _, seed, _ in group})
                shown = [_sentence(*texts, group, tokenizer) for texts, group in sentences.items()]
                more = {"languages": _languages(study.runs, task), "seeds": seeds, "sentences": shown}
                found.append(settings(study, task) | more)
    return found


def _sentence(split: str, source: str, reference: str, group: list[Any], tokenizer: str) -> dict[str, Any]:
    hypotheses = [
        [number, seed, pieces(text, reference), *scores(text, reference, tokenizer)] for number, seed, text in group
    ]
    return {"split": split, "source": source, "reference": reference, "hypotheses": hypotheses}


def _samples(run: Record) -> list[dict[str, Any]]:
    return run.get("samples") or [] if run["kind"] == "translation" else []


def _tokenizer(runs: list[Record], task: str) -> str:
    """The tokenizer of the task's BLEU, as its signature on record says; 13a where none does."""
    for run in runs:
        for scores in (run.get("scores") or {}).values() if run["task"] == task else ():
            for part in str(scores.get("bleu_signature") or "").split("|"):
                if part.startswith("tok:"):
                    return part.removeprefix("tok:")
    return "13a"


def _languages(runs: list[Record], task: str) -> list[str | None]:
    """Of source and target, for browsers that read aloud; a language that is none of this world has no code."""
    config = next(run["config"]["task"] for run in runs if run["task"] == task)
    codes = [config.get(key) for key in ("source_lang", "target_lang")]
    return [code if isinstance(code, str) and re.fullmatch("[a-z]{2}", code) else None for code in codes]


def pieces(hypothesis: str, reference: str) -> list[list[Any]]:
    """The hypothesis in runs of words: the same as in the reference, added, and missing ones where they would stand."""
    ours, theirs = hypothesis.split(), reference.split()
    found: list[list[Any]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append([SAME, " ".join(ours[c:d])])
            continue
        if b > a:
            found.append([MISSING, " ".join(theirs[a:b])])
        if d > c:
            found.append([ADDED, " ".join(ours[c:d])])
    return found


def scores(hypothesis: str, reference: str, tokenizer: str = "13a") -> tuple[float, float]:
    """BLEU and chrF of one sentence, to a tenth. BLEU leaves out orders it is too short for and smooths the others."""
    bleu, chrf = _metrics(tokenizer)
    found = [round(metric.sentence_score(hypothesis, [reference]).score, 1) for metric in (bleu, chrf)]
    return found[0], found[1]


@functools.cache
def _metrics(tokenizer: str) -> tuple[Any, Any]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU(tokenize=tokenizer, effective_order=True), CHRF()
