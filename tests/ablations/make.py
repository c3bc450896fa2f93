"""Small valid records, made by hand."""

import copy
from collections.abc import Callable
from pathlib import Path

from ablations import record as records
from ablations.record.seal import seal, unseal

SITE = {"name": "separate", "tie": "q-k-v", "map": "dense", "identity": "", "rank": None, "role_scale": False}
SITE |= {"role_rank": None, "kv_heads": None, "storage": "fused"}
TIE = {"separate": "q-k-v", "shared": "qkv", "k_is_v": "q-kv", "q_is_k": "qk-v"}
D2 = {"separate": 3.0, "shared": 1.0, "k_is_v": 2.0, "q_is_k": 2.0}
TASKS = {"docs": "language_modeling", "flickr": "translation", "opinions": "classification"}
BLEU = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def make_config(strategy="shared", task="docs", seed=0, **overrides):
    """A resolved config; overrides as `model__d_ff=64` or `sites__cross={...}`."""
    site = {**SITE, "name": strategy, "tie": TIE.get(strategy, "q-k-v")}
    corpus = {"files": {}, "hub": None, "builtin": None, "generator": None, "options": {}, "fractions": {}}
    config = {
        "seed": seed,
        "task": {
            "name": task,
            "kind": TASKS[task],
            "corpus": corpus,
            "tokenizer": {"kind": "sentencepiece", "model": "bpe", "vocab_size": 500},
            "context": 64,
            "test": ["test"],
            "source_lang": "en",
            "target_lang": "de",
            "newline_is_word": False,
        },
        "model": {
            "name": "tiny",
            "d_model": 32,
            "heads": 4,
            "head_dim": None,
            "d_ff": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "bias": True,
        },
        "projection": dict(site),
        "sites": {name: dict(site) for name in ("encoder", "decoder", "cross")},
        "position": {"kind": "sinusoidal", "base": 10000.0, "max_length": None},
        "optim": {"name": "adamw", "lr": 1e-3, "betas": (0.9, 0.98), "clip": 1.0},
        "trainer": {"steps": 100, "batch_tokens": 512, "accumulate": 1, "precision": "auto", "select": "last"},
        "evaluation": {"beam": 4, "length_penalty": 1.0, "stride": None, "samples": 8},
        "tracking": {"name": "none", "project": "p", "entity": None},
        "paths": {"corpora": None, "cache": "data/cache", "results": "results"},
        "study": {"name": "demo", "question": "", "prediction": "", "baseline": "separate"},
        "rerun": False,
    }
    config["trainer"] |= {"eval_every": 50, "eval_batch_tokens": 512, "log_every": 10, "checkpoint_every": 50}
    config["trainer"] |= {"device": "auto", "threads": None, "compile": False}
    for key, value in overrides.items():
        *parents, last = key.split("__")
        part = config
        for parent in parents:
            part = part[parent]
        part[last] = value
    return config


def make_record(strategy="shared", task="docs", seed=0, score=30.0, status="finished", study="demo", **overrides):
    """A record; `score` is a language model's perplexity, a classifier's accuracy, or a translator's BLEU.

    A translator's perplexity is a tenth of that.
    """
    config = make_config(strategy, task, seed, **overrides)
    translator = TASKS[task] == "translation"
    perplexity = score / 10 if translator else score
    numbers = {"nll": 1.5, "tokens": 900, "token_perplexity": perplexity, "word_perplexity": 2 * perplexity}
    numbers |= {"byte_perplexity": 1.9, "bits_per_byte": 0.93, "beam": 4, "window": {"context": 64, "stride": None}}
    if translator:
        numbers |= {"bleu": score, "bleu_signature": BLEU, "chrf": score + 20, "exact_match": 0.125}
    if TASKS[task] == "classification":
        numbers = {
            "nll": 0.5,
            "accuracy": score,
            "accuracy_low": score - 4,
            "accuracy_high": score + 4,
            "examples": 500,
        }
    return {
        "schema": records.SCHEMA,
        "study": study,
        "strategy": strategy,
        "sites": records.site_names(config),
        "task": task,
        "kind": TASKS[task],
        "signature": records.signature(config),
        "status": status,
        "reason": None if status == "finished" else "loss is not finite",
        "config": config,
        "seed": seed,
        "data": {"digest": "d" * 12, "tokenizer": "t" * 12, "vocabulary": 500},
        "budget": {
            "parameters": 100_000 if translator else 50_000,
            "projection_d2": D2.get(strategy, 3.0),
            "cache_numbers_per_token": 64,
        },
        "training": {"steps": 100, "precision": "fp32"},
        "curve": [],
        "scores": {"valid": copy.deepcopy(numbers), "test": numbers} if status == "finished" else {},
        "samples": [],
    }


def rewrite(file: Path, change: Callable[[str], str]) -> str:
    """Changes a record's text as somebody would who knows of its checksum, and returns the new one without it."""
    text = change(unseal(file.read_bytes()))
    file.write_bytes(seal(text).encode())
    return text
