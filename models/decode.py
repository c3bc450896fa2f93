"""From probabilities to tokens over the key/value cache: search for translators, sampling for language models.

Axes: B sentences, L tokens, S source length, V vocabulary.
"""

import torch
from torch import Tensor

from models.beam import beam_search
from models.greedy import greedy
from models.transformer import LanguageModel, Translator


@torch.inference_mode()
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

    Sentences of similar length belong together. Up to 32 MB of scores, rows * beam * V * 4 bytes, are quick on a CPU.

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
    L = prompt.shape[1]
    text = torch.cat([prompt, prompt.new_empty(len(prompt), length)], dim=1)
    cache, new = model.new_cache(room=L + length - 1), prompt  # the last token is never looked at
    for place in range(L, L + length):
        logits_BV = model(new, cache)[:, -1].float()
        if temperature == 0:
            new = logits_BV.argmax(-1, keepdim=True)
        else:
            if top_k is not None:
                least = logits_BV.topk(min(top_k, logits_BV.shape[-1])).values[:, -1:]
                logits_BV = logits_BV.masked_fill(logits_BV < least, -torch.inf)
            new = (logits_BV / temperature).softmax(-1).multinomial(1, generator=generator)
        text[:, place] = new.squeeze(1)
    return text
