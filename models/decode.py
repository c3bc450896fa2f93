"""From probabilities to tokens over the key/value cache: greedy and beam search for translators, sampling for language
models.

Axes: B sentences still being searched, K live hypotheses each, N = 2 * beam candidates, V vocabulary, T tokens so far,
S source length, C model width.
"""

import torch
from torch import Tensor

from models.transformer import LanguageModel, Translator


@torch.no_grad()
def translate(
    model: Translator,
    source: Tensor,
    source_mask: Tensor,
    *,
    bos: int,
    eos: int,
    max_length: int | Tensor,
    beam: int = 5,
    length_penalty: float = 1.0,
    pad: int = 0,
) -> list[list[int]]:
    """The best translation found of each sentence of source [B, S], without bos and eos; beam 1 is greedy search.

    A hypothesis scores log-probability / length ** length_penalty, eos counted in both. `max_length`, one for all or
    one per sentence [B], counts eos too: a hypothesis that has reached its last place must end there. pad and bos are
    never chosen.

    In every step each live hypothesis is extended by every token and the 2 * beam most probable results are looked at.
    Those that end and are among the first `beam` are finished; the first `beam` of those that go on stay alive. A
    sentence is done at its max_length, or as soon as it has `beam` finished hypotheses and no live one, at the length
    it has now, scores better than the best of them. With length_penalty > 0 that is a rule of thumb, as in the common
    toolkits: a live hypothesis might still gain by growing longer.

    Raises ValueError for a beam or max_length below 1 and a negative length_penalty.
    """
    assert not model.training, "decoding wants model.eval()"
    limits = torch.as_tensor(max_length, device=source.device).expand(len(source))
    if beam < 1:
        raise ValueError(f"beam is {beam}: set it to 1 (greedy) or more")
    if length_penalty < 0:
        raise ValueError(f"length_penalty is {length_penalty}: set it to 0 (none) or more")
    if (limits < 1).any():
        raise ValueError(f"max_length is {int(limits.min())}: it counts the end of the sentence, set it to 1 or more")
    if beam == 1:
        return greedy(model, source, source_mask, limits, bos, eos, pad)
    return beam_search(model, source, source_mask, limits, bos, eos, pad, beam, length_penalty)


def greedy(
    model: Translator, source: Tensor, source_mask: Tensor, limits: Tensor, bos: int, eos: int, pad: int
) -> list[list[int]]:
    """The most probable token in every step."""
    states, cache = model.encode(source, source_mask), model.new_cache()
    sentences = torch.arange(len(source), device=source.device)
    tokens = torch.full_like(sentences, bos)
    found: list[list[int]] = [[] for _ in range(len(source))]
    length = 1  # of the hypotheses that the next token makes
    while True:
        running = ((tokens != eos) & (length < limits)).nonzero().flatten()
        if len(running) == 0:
            return found
        if len(running) < len(tokens):
            cache.select(running)
            states, source_mask = states[running], source_mask[running]
            tokens, limits, sentences = tokens[running], limits[running], sentences[running]
        logits = model.decode(tokens[:, None], states, source_mask, cache)[:, -1]
        tokens = _log_probabilities(logits, bos, pad).argmax(-1)
        for sentence, token in zip(sentences.tolist(), tokens.tolist(), strict=True):
            if token != eos:
                found[sentence].append(token)
        length += 1


def beam_search(
    model: Translator,
    source: Tensor,
    source_mask: Tensor,
    limits: Tensor,
    bos: int,
    eos: int,
    pad: int,
    beam: int,
    length_penalty: float,
) -> list[list[int]]:
    """Beam search by the rule that `translate` states; one row of the cache per live hypothesis, one to begin with."""
    states, cache = model.encode(source, source_mask), model.new_cache()
    sentences = torch.arange(len(source), device=source.device)
    live_BK = torch.zeros(len(source), 1, device=source.device)  # log-probabilities
    tokens_BKT = torch.full((len(source), 1, 1), bos, device=source.device)
    finished_B = torch.zeros_like(sentences)  # how many
    best_B = torch.full_like(live_BK[:, 0], -torch.inf)  # score of the best finished hypothesis
    found: list[list[int]] = [[] for _ in range(len(source))]
    for length in range(1, int(limits.max()) + 1):
        K = live_BK.shape[1]
        logits = model.decode(tokens_BKT[:, :, -1].reshape(-1, 1), states, source_mask, cache)[:, -1]
        log_p_BKV = _log_probabilities(logits, bos, pad).unflatten(0, (-1, K))
        last_B = limits == length
        not_eos_V = torch.arange(log_p_BKV.shape[-1], device=source.device) != eos
        log_p_BKV = log_p_BKV.masked_fill(last_B[:, None, None] & not_eos_V, -torch.inf)

        all_BM = (live_BK[:, :, None] + log_p_BKV).flatten(1)
        sums_BN, places_BN = all_BM.topk(min(2 * beam, all_BM.shape[1]), dim=1)
        parents_BN, next_BN = places_BN // log_p_BKV.shape[-1], places_BN % log_p_BKV.shape[-1]
        ends_BN = next_BN == eos

        # Impossible candidates (fewer tokens allowed than asked for) are not hypotheses.
        scores_BN = sums_BN.masked_fill(~ends_BN, -torch.inf)[:, :beam] / length**length_penalty
        finished_B = finished_B + scores_BN.isfinite().sum(1)
        score_B, place_B = scores_BN.max(1)
        for row in (score_B > best_B).nonzero().flatten().tolist():
            parent = parents_BN[row, place_B[row]]
            found[int(sentences[row])] = tokens_BKT[row, parent, 1:].tolist()
        best_B = best_B.maximum(score_B)

        # At most one candidate per parent ends, so that many fewer go on at the least.
        width = min(beam, sums_BN.shape[1] - K)
        on_BK = ends_BN.int().argsort(dim=1, stable=True)[:, :width]  # those that go on, the most probable first
        live_BK, parents_BK = sums_BN.gather(1, on_BK), parents_BN.gather(1, on_BK)
        hopeless_B = live_BK[:, 0] / length**length_penalty <= best_B
        running = (~(last_B | (finished_B >= beam) & hopeless_B)).nonzero().flatten()
        if len(running) == 0:
            break
        rows = (running[:, None] * K + parents_BK[running]).flatten()
        cache.select(rows)
        states, source_mask = states[rows], source_mask[rows]
        past = tokens_BKT.flatten(0, 1)[rows].unflatten(0, (-1, width))
        tokens_BKT = torch.cat([past, next_BN.gather(1, on_BK)[running][:, :, None]], dim=2)
        live_BK, finished_B, best_B = live_BK[running], finished_B[running], best_B[running]
        limits, sentences = limits[running], sentences[running]
    return found


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompt: Tensor,
    *,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The prompt [B, L] and `length` sampled tokens after it: [B, L + length].

    Logits are divided by `temperature` (0: always the most probable token) and, with `top_k`, only that many tokens may
    be drawn. `generator` makes the draw repeatable; it lives on the model's device. Raises ValueError for an empty
    prompt and for settings that mean nothing.
    """
    assert not model.training, "decoding wants model.eval()"
    if prompt.shape[1] == 0:
        raise ValueError("the prompt is empty: begin it with bos")
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}: set it to 0 (most probable token) or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}: set it to 1 or more, or leave it out")
    cache, new = model.new_cache(), prompt
    for _ in range(length):
        logits_BV = model(new, cache)[:, -1].float()
        if temperature == 0:
            new = logits_BV.argmax(-1, keepdim=True)
        else:
            if top_k is not None:
                least = logits_BV.topk(min(top_k, logits_BV.shape[-1])).values[:, -1:]
                logits_BV = logits_BV.masked_fill(logits_BV < least, -torch.inf)
            new = (logits_BV / temperature).softmax(-1).multinomial(1, generator=generator)
        prompt = torch.cat([prompt, new], dim=1)
    return prompt


def _log_probabilities(logits: Tensor, bos: int, pad: int) -> Tensor:
    # In float32 whatever autocast says. Forbidden tokens keep their share: the others' are the model's own.
    log_p = logits.float().log_softmax(-1)
    log_p[:, [bos, pad]] = -torch.inf
    return log_p
