"""How heads spread their attention: symmetry, own position, entropy, and the spread of what the softmax is given.

Axes: B rows, H heads, L queries, S keys. `allowed` is True where a real query may look at a real key; a query that may
look nowhere counts in no mean. Every function gives one number per head, [H], NaN where nothing can be averaged.
"""

import torch
from torch import Tensor


def symmetry(scores_BHLS: Tensor, real_BL: Tensor) -> Tensor:
    """(|S_s|^2 - |S_n|^2) / |S|^2 of the pre-softmax scores of self-attention, S_s = (S + S^T)/2, S_n = (S - S^T)/2.

    Frobenius norms, over all pairs of real positions of all rows, whatever a causal mask hides afterwards. From -1
    (skew) over 0 (a random matrix) to 1 (symmetric), by the formula that Saponati et al. (2025) have for weights.
    Scores with a large common mean are near 1 too: that is symmetric.
    """
    pairs_BHLS = (real_BL[:, :, None] & real_BL[:, None, :])[:, None]
    S = scores_BHLS.double().masked_fill(~pairs_BHLS, 0.0)
    return (S * S.mT).sum((0, 2, 3)) / (S * S).sum((0, 2, 3))  # |S_s|^2 - |S_n|^2 is the trace of S S


def asymmetry(weights_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    """sum |A_ij - A_ji| / sum (A_ij + A_ji) over pairs i != j that may look at each other; our own definition.

    From 0 (symmetric; also where no weight leaves the diagonal) to 1 (of each pair only one looks). NaN under a causal
    mask, where no pair can look both ways.
    """
    S = weights_BHLS.shape[-1]
    both_BHLS = allowed_BHLS & allowed_BHLS.mT & ~torch.eye(S, dtype=torch.bool, device=weights_BHLS.device)
    A = weights_BHLS.double().masked_fill(~both_BHLS, 0.0)
    total = (A + A.mT).sum((0, 2, 3))
    ratio = (A - A.mT).abs().sum((0, 2, 3)) / total.clamp_min(torch.finfo(total.dtype).tiny)
    return ratio.masked_fill(~both_BHLS.any(-1).any(-1).any(0), torch.nan)


def own_position(weights_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    """Mean weight A_ii of a query on its own position, 0 to 1; self-attention only."""
    return mean_per_head(weights_BHLS.diagonal(dim1=-2, dim2=-1), allowed_BHLS.any(-1))


def entropy(weights_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    """Mean of -sum_j A_ij ln A_ij in nats: 0 where one key takes all, ln n for uniform weights on n keys."""
    return mean_per_head(_entropies(weights_BHLS, allowed_BHLS), allowed_BHLS.any(-1))


def normalised_entropy(weights_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    """Mean of entropy / ln n, n the keys a query may look at: 0 to 1; queries with a single key do not count."""
    n_BHL = allowed_BHLS.sum(-1)
    return mean_per_head(_entropies(weights_BHLS, allowed_BHLS) / n_BHL.clamp_min(2).double().log(), n_BHL > 1)


def spread(scores_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    """Mean standard deviation (over n) of the scores a query has for the keys it may look at; at least two keys.

    0: uniform attention. About 1 for independent unit normal queries and keys under 1/sqrt(D) (Vaswani et al. 2017).
    """
    n_BHL = allowed_BHLS.sum(-1)
    S = scores_BHLS.double().masked_fill(~allowed_BHLS, 0.0)
    mean_BHL = S.sum(-1) / n_BHL.clamp_min(1)
    squares_BHL = (S - mean_BHL[..., None]).masked_fill(~allowed_BHLS, 0.0).square().sum(-1)
    return mean_per_head((squares_BHL / n_BHL.clamp_min(1)).sqrt(), n_BHL > 1)


def mean_per_head(x_BHL: Tensor, counts_BHL: Tensor) -> Tensor:
    """[H]: mean of x over the rows and queries that count, in float64; NaN where none does."""
    x = x_BHL.double().masked_fill(~counts_BHL, 0.0)
    return x.sum((0, 2)) / counts_BHL.expand_as(x).sum((0, 2))


def _entropies(weights_BHLS: Tensor, allowed_BHLS: Tensor) -> Tensor:
    A = weights_BHLS.double().masked_fill(~allowed_BHLS, 0.0)
    return -torch.special.xlogy(A, A).sum(-1)
