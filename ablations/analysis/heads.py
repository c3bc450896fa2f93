"""What single heads do: how much they differ, what they look at, what their loss costs.

Axes: B rows, H heads, L queries, S keys, E width of a head's values, C model width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.analysis.scores import mean_per_head
from ablations.analysis.sites import nats, output_map, sites
from data.batch import Batch

# A head has a kind when more than half of its weight goes there.
THRESHOLD = 0.5


def disagreement(x_BHLN: Tensor, counts_BL: Tensor) -> float:
    """-mean cos(x_i, x_j) over pairs of heads i < j and the positions that count (Li et al. 2018).

    -1: all heads the same; 0: orthogonal; 1 at most (two opposite heads). NaN for a single head. Li et al. average over
    all ordered pairs, i = j among them, which only shrinks the range, and take products of weights in place of cosines.
    """
    heads = x_BHLN.shape[1]
    unit = F.normalize(x_BHLN.double(), dim=-1)
    cosines_BPL = torch.einsum("bhln,bgln->bhgl", unit, unit)[:, *torch.triu_indices(heads, heads, 1)]
    return -mean_per_head(cosines_BPL, counts_BL[:, None]).mean().item() if heads > 1 else float("nan")


def disagreements(look: Any, attention: Any, counts_BL: Tensor) -> dict[str, float]:
    """Disagreement of one site: of attention weights, of outputs, of what the heads add to the residual stream.

    `outputs` compares vectors each in its own head's coordinates, as Li et al. do; another choice of them, with W_V^h B
    and B^-1 W_O^h, changes it and not the model. `contributions`, y_h W_O^h, is free of that. Weights are never
    negative: theirs lies between -1 and 0.
    """
    v_BGSE = look.v_BGSE
    y_BHLE = look.weights_BHLS @ v_BGSE.repeat_interleave(attention.heads // v_BGSE.shape[1], dim=1)
    return {
        "positions": disagreement(look.weights_BHLS, counts_BL),
        "outputs": disagreement(y_BHLE, counts_BL),
        "contributions": disagreement(torch.einsum("bhle,hec->bhlc", y_BHLE, output_map(attention)), counts_BL),
    }


def roles(
    weights_BHLS: Tensor,
    allowed_BHLS: Tensor,
    queries_BL: Tensor,
    keys_BS: Tensor,
    specials: tuple[int, ...],
    own_sequence: bool,
) -> dict[str, Tensor]:
    """What heads look at: kind of key -> mean weight on such keys, 0 to 1, [H].

    previous, next, own: the key's position before, after and at the query's (self-attention only); same: the query's
    token, at another position; special: the tokens that open, close or separate texts. A mean is over the queries that
    may look at such a key; 0 where none may. A key can be of two kinds.
    """
    L, S = weights_BHLS.shape[-2:]
    step_LS = torch.arange(S, device=keys_BS.device) - torch.arange(L, device=keys_BS.device)[:, None]
    same_BLS = queries_BL[:, :, None] == keys_BS[:, None, :]
    kinds = {"previous": step_LS == -1, "next": step_LS == 1, "own": step_LS == 0} if own_sequence else {}
    kinds |= {"same": same_BLS & (step_LS != 0) if own_sequence else same_BLS}
    kinds |= {"special": torch.isin(keys_BS, torch.tensor(specials, device=keys_BS.device))[:, None, :]}
    shares = {}
    for kind, there in kinds.items():
        there_BHLS = allowed_BHLS & (there if there.dim() == 2 else there[:, None])
        weight_BHL = weights_BHLS.masked_fill(~there_BHLS, 0.0).sum(-1)
        shares[kind] = mean_per_head(weight_BHL, there_BHLS.any(-1)).nan_to_num(0.0)
    return shares


def kinds(shares: dict[str, Tensor]) -> list[str]:
    """The kind of each head: the one with the largest share, if that is above THRESHOLD, or "mixed"."""
    names = list(shares)
    largest, which = torch.stack([shares[name] for name in names]).max(0)
    pairs = zip(which.tolist(), largest.tolist(), strict=True)
    return [names[index] if share > THRESHOLD else "mixed" for index, share in pairs]


def importance(model: nn.Module, batch: Batch) -> dict[str, list[float]]:
    """Site -> rise of nats per target when one head's output is zero, head by head (Michel et al. 2019).

    A forward pass per head. Negative: the model does better without it on this batch.
    """
    whole = nats(model, batch)
    found = {}
    for name, attention in sites(model).items():
        found[name] = []
        for head in range(attention.heads):

            def silence(_: nn.Module, inputs: tuple[Tensor], head: int = head, heads: int = attention.heads) -> Tensor:
                y_BLHE = inputs[0].unflatten(-1, (heads, -1)).clone()
                y_BLHE[..., head, :] = 0.0
                return y_BLHE.flatten(-2)

            handle = attention.out.register_forward_pre_hook(silence)
            try:
                found[name].append(float(nats(model, batch) - whole))
            finally:
                handle.remove()
    return found
