"""The kinds of map from the input to a role's vectors: dense, low-rank, block-diagonal, one slice for all heads.

Axes: B batch, L length, C model width, N heads, D head width, R rank, I width of a head's slice of the input.
Every map turns x_BLC into y_BL(ND) and can state itself as one dense matrix, so that `y = x @ map.matrix() (+ bias)`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dense(nn.Module):
    """y = x W, every output from every input."""

    def __init__(self, d_model: int, heads: int, head_dim: int, bias: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads * head_dim, d_model))
        self.bias = nn.Parameter(torch.empty(heads * head_dim)) if bias else None

    def forward(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] to [B, L, N * D]."""
        return F.linear(x_BLC, self.weight, self.bias)

    def matrix(self) -> Tensor:
        """[C, N * D]."""
        return self.weight.T


class LowRank(nn.Module):
    """y = x A B, through a bottleneck of R numbers."""

    def __init__(self, d_model: int, heads: int, head_dim: int, rank: int, bias: bool):
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, d_model))
        self.up = nn.Parameter(torch.empty(heads * head_dim, rank))
        self.bias = nn.Parameter(torch.empty(heads * head_dim)) if bias else None

    def forward(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] to [B, L, N * D]."""
        return F.linear(F.linear(x_BLC, self.down), self.up, self.bias)

    def matrix(self) -> Tensor:
        """[C, N * D], of rank R at most."""
        return (self.up @ self.down).T


class BlockDiagonal(nn.Module):
    """Head n sees only the n-th slice of the input, through its own small matrix: y_n = x_n W_n."""

    def __init__(self, d_model: int, heads: int, head_dim: int, bias: bool):
        super().__init__()
        self.weight_NDI = nn.Parameter(torch.empty(heads, head_dim, d_model // heads))
        self.bias = nn.Parameter(torch.empty(heads * head_dim)) if bias else None

    def forward(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] to [B, L, N * D]."""
        x_BLNI = x_BLC.unflatten(-1, (self.weight_NDI.shape[0], -1))
        y_BLC = torch.einsum("blni,ndi->blnd", x_BLNI, self.weight_NDI).flatten(-2)
        return y_BLC if self.bias is None else y_BLC + self.bias

    def matrix(self) -> Tensor:
        """[C, N * D], zero outside the blocks."""
        return torch.block_diag(*self.weight_NDI.mT)


class OneSlice(nn.Module):
    """Head n sees only the n-th slice of the input, through a small matrix that all heads share: y_n = x_n W."""

    def __init__(self, d_model: int, heads: int, head_dim: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(head_dim, d_model // heads))
        self.bias = nn.Parameter(torch.empty(head_dim)) if bias else None

    def forward(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] to [B, L, N * D]."""
        return F.linear(x_BLC.unflatten(-1, (self.heads, -1)), self.weight, self.bias).flatten(-2)

    def matrix(self) -> Tensor:
        """[C, N * D], the same block N times on its diagonal."""
        return torch.block_diag(*[self.weight.T] * self.heads)
