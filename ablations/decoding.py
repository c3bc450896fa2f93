"""How fast a trained model writes, and what it remembers of what it has written, measured on the model itself.

Axes: B rows, S source length, T tokens written, V vocabulary.
"""

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from data.batch import BOS
from models.cache import Cache, DecoderCache
from models.transformer import LanguageModel, Translator

ROWS = 8  # sequences at once
TOKENS = 16  # written by each, and read by a translator's encoder, if the task's context has room for them
ROUNDS = 3  # that are timed
WARM = 3  # tokens written before, to no clock


@torch.inference_mode()
def decoding(model: LanguageModel | Translator, context: int) -> dict[str, Any]:
    """Speed and memory of greedy search in float32 on the model's own device, for the record.

    `tokens_per_second` counts the `tokens` of all `rows`: the median of a few rounds; a translator's encoder has done
    its work before, and its first step reads the source. Every sequence is written to its full length, whatever it
    says, so that all models do equally much. `cache_bytes_per_token` is what the cache holds of each token written
    and `cache_bytes_per_source_token` of each one read; room to grow is not counted. Draws no random numbers.
    """
    model.eval()
    T = min(context, TOKENS)
    _written(model, min(T, WARM))
    runs = [_written(model, T) for _ in range(ROUNDS)]
    cache = runs[0][1]
    facts: dict[str, Any] = {
        "tokens_per_second": round(ROWS * T / statistics.median(seconds for seconds, _ in runs), 1),
        "rows": ROWS,
        "tokens": T,
        "cache_bytes_per_token": _bytes(cache.past) / (ROWS * len(cache)),
    }
    if isinstance(model, Translator):
        facts["cache_bytes_per_source_token"] = _bytes(cache.source) / (ROWS * T)
    return {**facts, "precision": "fp32"}


def _written(model: LanguageModel | Translator, T: int) -> tuple[float, DecoderCache]:
    """The seconds that T tokens of every row took, and the cache as it is then."""
    weight, _ = model.output_map
    cache, tokens_B1 = model.new_cache(), torch.full((ROWS, 1), BOS, device=weight.device)
    states_BSC, mask_BS = None, torch.ones(ROWS, T, dtype=torch.bool, device=weight.device)
    if isinstance(model, Translator):
        source_BS = torch.arange(ROWS * T, device=weight.device).view(ROWS, T) % len(weight)
        states_BSC = model.encode(source_BS, mask_BS)
    start = _now(weight)
    for _ in range(T):
        if isinstance(model, Translator):
            assert states_BSC is not None
            logits_BV = model.decode(tokens_B1, states_BSC, mask_BS, cache)[:, -1]
        else:
            logits_BV = model(tokens_B1, cache)[:, -1]
        tokens_B1 = logits_BV.argmax(-1, keepdim=True)
    return _now(weight) - start, cache


def _now(anything: Tensor) -> float:
    """The time when the device of this tensor has done its work."""
    if anything.is_cuda:
        torch.cuda.synchronize(anything.device)
    return time.perf_counter()


def _bytes(caches: list[Cache]) -> int:
    return sum(tensor.numel() * tensor.element_size() for cache in caches for tensor in cache.tensors)
