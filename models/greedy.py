"""Greedy search.

Axes: B sentences still being searched, V vocabulary.
"""

import torch
from torch import Tensor

from models.largest import largest
from models.transformer import Translator

SPARE = 0.12  # share of a batch that may be sentences already done: copying the others costs about as much as a step


def greedy(
    model: Translator, source: Tensor, source_mask: Tensor, limits: Tensor, bos: int, eos: int, pad: int
) -> list[list[int]]:
    """The most probable token in every step."""
    states, cache = model.encode(source, source_mask), model.new_cache()
    sentences = torch.arange(len(source), device=source.device)
    tokens = torch.full_like(sentences, bos)
    done = limits <= 1
    steps: list[tuple[Tensor, Tensor]] = []
    for length in range(2, int(limits.max()) + 1):  # of the hypotheses that the next token makes, eos counted
        if (ready := int(done.sum())) == len(done):
            break
        if ready > SPARE * len(done):
            rows = (~done).nonzero().flatten()
            cache.select(rows)
            states, source_mask, sentences = states[rows], source_mask[rows], sentences[rows]
            tokens, limits, done = tokens[rows], limits[rows], done[rows]
        logits = model.decode(tokens[:, None], states, source_mask, cache)[:, -1]
        tokens = largest(forbid(logits, bos, pad)).masked_fill(done, eos)
        done = (tokens == eos) | (limits <= length)
        steps.append((sentences, tokens))
    found = torch.full((len(source), len(steps) + 1), eos, device=source.device)
    for place, (sentences, tokens) in enumerate(steps):
        found[sentences, place] = tokens
    return [ids[: ids.index(eos)] for ids in found.tolist()]


def forbid(scores: Tensor, *tokens: int) -> Tensor:
    """Scores [..., V], in place, with these tokens made impossible."""
    for token in tokens:
        scores[..., token] = -torch.inf
    return scores
