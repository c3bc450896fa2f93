"""Beam search over a key/value cache that is a tree.

Axes: B sentences still being searched, K live hypotheses each, N = 2 * beam candidates, V vocabulary, T length.
"""

import torch
from torch import Tensor

from models.greedy import SPARE, forbid
from models.largest import largest_sums
from models.transformer import Translator


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
    """Beam search by the rule that `translate` states.

    A sentence that is done stays in the batch, and is ignored, until enough of them are to make it worth copying the
    rest.
    """
    states, cache = model.encode(source, source_mask), model.new_cache()
    longest, ends = int(limits.max()), set(limits.tolist())
    history = History(source, longest)
    live_BK = torch.zeros(len(source), 1, device=source.device)  # log-probabilities
    tokens_BK = torch.full_like(live_BK, bos, dtype=torch.long)
    parents_BK = torch.zeros_like(tokens_BK)
    finished_B = torch.zeros_like(limits)  # how many
    best_B = torch.full_like(live_BK[:, 0], -torch.inf)  # score of the best finished hypothesis
    done_B = torch.zeros_like(limits, dtype=torch.bool)
    for length in range(1, longest + 1):
        cache.branch(parents_BK)
        log_p_BKV = model.decode(tokens_BK, states, source_mask, cache).float().log_softmax(-1)
        # Forbidden tokens keep their share: the others' probabilities are the model's own.
        forbid(log_p_BKV, bos, pad)
        last_B = limits == length
        if length in ends:
            not_eos_V = torch.arange(log_p_BKV.shape[-1], device=source.device) != eos
            log_p_BKV.masked_fill_(last_B[:, None, None] & not_eos_V, -torch.inf)
        K, V = log_p_BKV.shape[1:]
        sums_BN, places_BN = largest_sums(log_p_BKV, live_BK, min(2 * beam, K * V))
        parents_BN, next_BN = places_BN // V, places_BN % V
        ends_BN = next_BN == eos

        # Impossible candidates (fewer tokens allowed than asked for) are not hypotheses.
        scores_BN = sums_BN.masked_fill(~ends_BN, -torch.inf)[:, :beam] / length**length_penalty
        finished_B = finished_B + scores_BN.isfinite().sum(1)
        score_B, place_B = scores_BN.max(1)
        better_B = (score_B > best_B) & ~done_B
        best_B = torch.where(better_B, score_B, best_B)
        history.end(better_B, length, parents_BN.gather(1, place_B[:, None]).squeeze(1))

        # At most one candidate per parent ends, so that many fewer go on at the least.
        width = min(beam, sums_BN.shape[1] - K)
        on_BK = ends_BN.int().argsort(dim=1, stable=True)[:, :width]  # those that go on, the most probable first
        live_BK, parents_BK, tokens_BK = (t.gather(1, on_BK) for t in (sums_BN, parents_BN, next_BN))
        hopeless_B = live_BK[:, 0] / length**length_penalty <= best_B
        done_B = done_B | last_B | (finished_B >= beam) & hopeless_B
        ready = int(done_B.sum())
        if ready == len(done_B):
            break
        history.go_on(parents_BK, tokens_BK)
        if ready > SPARE * len(done_B):
            rows = (~done_B).nonzero().flatten()
            cache.select(rows)
            history.select(rows)
            states, source_mask, limits, finished_B = states[rows], source_mask[rows], limits[rows], finished_B[rows]
            live_BK, tokens_BK, parents_BK = live_BK[rows], tokens_BK[rows], parents_BK[rows]
            best_B, done_B = best_B[rows], done_B[rows]
    return history.found()


class History:
    """What was chosen in every step, from which the best hypotheses are read backwards in the end."""

    def __init__(self, source: Tensor, longest: int) -> None:
        self.sentences_B = torch.arange(len(source), device=source.device)  # of those still in the batch
        self.steps: list[tuple[Tensor, Tensor, Tensor]] = []
        self.length_A = torch.ones_like(self.sentences_B)  # of the best hypothesis of all sentences, eos counted
        self.parent_A = torch.zeros_like(self.sentences_B)  # which hypothesis of the step before it continues

    def end(self, better_B: Tensor, length: int, parent_B: Tensor) -> None:
        """The best hypothesis of some sentences ends here, behind these of the last step."""
        B = self.sentences_B
        self.length_A[B] = torch.where(better_B, length, self.length_A[B])
        self.parent_A[B] = torch.where(better_B, parent_B, self.parent_A[B])

    def go_on(self, parents_BK: Tensor, tokens_BK: Tensor) -> None:
        """The live hypotheses of a step: whom they continue, and with what."""
        self.steps.append((self.sentences_B, parents_BK, tokens_BK))

    def select(self, rows: Tensor) -> None:
        """Only these rows are searched from now on."""
        self.sentences_B = self.sentences_B[rows]

    def found(self) -> list[list[int]]:
        """The best hypothesis of every sentence, without eos."""
        tokens_AT = self.length_A.new_zeros(len(self.length_A), len(self.steps))
        place_A = self.parent_A.clone()
        for step in reversed(range(len(self.steps))):
            sentences_B, parents_BK, tokens_BK = self.steps[step]
            place_B = place_A[sentences_B].clamp(max=parents_BK.shape[1] - 1)[:, None]  # of no meaning beyond the end
            tokens_AT[sentences_B, step] = tokens_BK.gather(1, place_B).squeeze(1)
            inside_B = self.length_A[sentences_B] > step + 1
            place_A[sentences_B] = torch.where(inside_B, parents_BK.gather(1, place_B).squeeze(1), place_A[sentences_B])
        return [ids[: n - 1] for ids, n in zip(tokens_AT.tolist(), self.length_A.tolist(), strict=True)]
