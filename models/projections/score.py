"""How a query meets a key, and which keys it may meet.

    q, k   = score.prepare(q, k)     before positions turn them
    scores = score(q, k)             [B, H, L, S], before masks and softmax

Axes: B batch, L queries, S keys, H query heads, G key/value heads, D head width, A hidden width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.projections.config import ProjectionConfig, Sizes


class DotProduct(nn.Module):
    """q k^T, times 1 / sqrt(D) or as it is; a matrix F_h may stand between: q F_h k^T.

    scaled_dot  q k^T / sqrt(D)       Vaswani et al. 2017
    dot         q k^T                 Luong et al. 2015
    pairwise    q F_h k^T / sqrt(D)   Courtois et al. 2024, with q = k
    general     q F_h k^T             Luong et al. 2015

    Keys may be normalised first, each head's on its own (`key_norm`). Kitaev et al. (2020) write k = q / |q|, which is
    l2; rms divides by the root mean square, as other code does: l2 times sqrt(D), the same at another temperature.
    """

    def __init__(self, config: ProjectionConfig, sizes: Sizes):
        super().__init__()
        D = sizes.head_dim
        self.scale = D**-0.5 if config.score in ("scaled_dot", "pairwise") else 1.0
        self.key_norm, self.start = config.key_norm, config.score_init
        between = config.score in ("general", "pairwise")
        self.weight = nn.Parameter(torch.empty(sizes.heads, D, D)) if between else None

    def prepare(self, q_BHLD: Tensor, k_BGSD: Tensor) -> tuple[Tensor, Tensor]:
        """Queries through F_h, keys normalised."""
        if self.weight is not None:
            q_BHLD = q_BHLD @ self.weight
        if self.key_norm:
            k_BGSD = F.normalize(k_BGSD, dim=-1) * (1.0 if self.key_norm == "l2" else k_BGSD.shape[-1] ** 0.5)
        return q_BHLD, k_BGSD

    def forward(self, q_BHLD: Tensor, k_BGSD: Tensor) -> Tensor:
        """[B, H, L, S] of prepared queries and keys."""
        return q_BHLD @ for_all_heads(k_BGSD, q_BHLD.shape[1]).mT * self.scale

    def settle(self) -> None:
        """Initial weights that are not drawn alone: `identity` F = I, a plain dot product; `symmetric` F = F^T."""
        if self.weight is None or self.start == "xavier":
            return
        with torch.no_grad():
            eye = torch.eye(self.weight.shape[-1], dtype=self.weight.dtype, device=self.weight.device)
            self.weight.copy_(eye if self.start == "identity" else (self.weight + self.weight.mT) / 2)


class Additive(nn.Module):
    """v . tanh(q W + k U), a hidden layer of A numbers for each head (Bahdanau et al. 2015).

    `concat` (Luong et al. 2015), v . tanh([q; k] W), is the same function: the matrix on [q; k] is W above U. It is
    drawn as one matrix, so its initial weights are smaller. Luong's decoder state is the current one, Bahdanau's the
    previous one; a Transformer's query knows the current input, so that difference has no counterpart here.
    """

    def __init__(self, config: ProjectionConfig, sizes: Sizes):
        super().__init__()
        D, A = sizes.head_dim, config.score_width or sizes.head_dim
        self.joint = nn.Parameter(torch.empty(sizes.heads, A, 2 * D)) if config.score == "concat" else None
        if self.joint is None:
            self.query = nn.Parameter(torch.empty(sizes.heads, A, D))
            self.key = nn.Parameter(torch.empty(sizes.heads, A, D))
        self.combine = nn.Parameter(torch.empty(sizes.heads, 1, A))

    def prepare(self, q_BHLD: Tensor, k_BGSD: Tensor) -> tuple[Tensor, Tensor]:
        """[B, H, L, A] and [B, H, S, A]: both sides of the sum."""
        query, key = (self.query, self.key) if self.joint is None else self.joint.chunk(2, dim=-1)
        return q_BHLD @ query.mT, for_all_heads(k_BGSD, q_BHLD.shape[1]) @ key.mT

    def forward(self, q_BHLA: Tensor, k_BHSA: Tensor) -> Tensor:
        """[B, H, L, S] of prepared queries and keys."""
        hidden_BHLSA = torch.tanh(q_BHLA[:, :, :, None] + k_BHSA[:, :, None])
        return (hidden_BHLSA @ self.combine[:, None].mT).squeeze(-1)


def score(config: ProjectionConfig, sizes: Sizes) -> DotProduct | Additive:
    """The score a strategy asks for."""
    return DotProduct(config, sizes) if config.by_angle else Additive(config, sizes)


def for_all_heads(t_BGSD: Tensor, heads: int) -> Tensor:
    """[B, H, S, D]: each key/value head as often as query heads use it."""
    return t_BGSD.repeat_interleave(heads // t_BGSD.shape[1], dim=1)


def without_self(allowed_LS: Tensor) -> Tensor:
    """The mask [..., L, S] without a position's view of itself, unless it sees nothing else (Kitaev et al. 2020).

    Both sequences end together: query l stands at position S - L + l.
    """
    L, S = allowed_LS.shape[-2:]
    own_LS = torch.ones(L, S, dtype=torch.bool, device=allowed_LS.device).tril(S - L).triu(S - L)
    others_LS = allowed_LS & ~own_LS
    return others_LS | (own_LS & allowed_LS & ~others_LS.any(-1, keepdim=True))
