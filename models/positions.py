"""How a model knows about order: none, sinusoidal (Vaswani et al. 2017), learned, rotary (Su et al. 2021), ALiBi (Press
et al. 2022).

Sinusoidal and learned positions are added to embeddings; rotary turns queries and keys inside self-attention, ALiBi
lowers its scores with distance. Values are never rotated, so K=V means "V is the unrotated K".
Axes: B batch, H heads, L length, S keys, C model width, D head width.
"""

import torch
from torch import Tensor, nn

from models.config import PositionConfig


def added_position(config: PositionConfig, d_model: int, max_length: int) -> nn.Module | None:
    """What is added to embeddings, if anything."""
    if config.kind == "sinusoidal":
        return Sinusoidal(d_model, config.base)
    if config.kind == "learned":
        return Learned(d_model, config.max_length or max_length)
    return None


def rotation(config: PositionConfig, head_dim: int) -> "Rotary | None":
    """What turns queries and keys, if anything."""
    return Rotary(head_dim, config.base) if config.kind == "rotary" else None


def distance(config: PositionConfig, heads: int) -> "Alibi | None":
    """What is added to scores, if anything."""
    return Alibi(heads) if config.kind == "alibi" else None


def angles(start: int | Tensor, length: int, width: int, base: float, device: torch.device) -> Tensor:
    """position / base ** (2 i / width): [L, width / 2] in float32, whatever autocast says.

    `start` is the first of consecutive positions, or all of them, [..., L].
    """
    positions = start if isinstance(start, Tensor) else torch.arange(start, start + length, device=device)
    frequencies = base ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    return positions.float()[..., None] * frequencies


class Sinusoidal(nn.Module):
    """x + [sin, cos] of the position, fixed."""

    def __init__(self, d_model: int, base: float):
        super().__init__()
        self.d_model, self.base = d_model, base

    def forward(self, x_BLC: Tensor, start: int) -> Tensor:
        """Adds positions start, start + 1, ... to [B, L, C]."""
        a = angles(start, x_BLC.shape[1], self.d_model, self.base, x_BLC.device)
        return x_BLC + torch.cat([a.sin(), a.cos()], dim=-1)[:, : self.d_model].to(x_BLC.dtype)


class Learned(nn.Module):
    """x + one learned vector per position. Refuses more positions than it has."""

    def __init__(self, d_model: int, max_length: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_length, d_model))

    def forward(self, x_BLC: Tensor, start: int) -> Tensor:
        """Adds positions start, start + 1, ... to [B, L, C]."""
        stop = start + x_BLC.shape[1]
        if stop > len(self.weight):
            raise ValueError(
                f"learned positions end at {len(self.weight)}, {stop} are needed: set position.max_length={stop}"
            )
        return x_BLC + self.weight[start:stop]


class Rotary(nn.Module):
    """Turns each pair of coordinates (i, i + D/2) by an angle that grows with position: scores see only distances."""

    def __init__(self, head_dim: int, base: float):
        super().__init__()
        self.head_dim, self.base = head_dim, base

    def forward(self, x_BHLD: Tensor, start: int | Tensor) -> Tensor:
        """Turns [B, H, L, D] as positions start, start + 1, ..., or as those given, [B, 1, L]."""
        a = angles(start, x_BHLD.shape[2], self.head_dim, self.base, x_BHLD.device)
        cos, sin = a.cos().to(x_BHLD.dtype), a.sin().to(x_BHLD.dtype)
        first, second = x_BHLD.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class Alibi(nn.Module):
    """Adds -m_h |i - j| to the score of query i and key j; nothing is learned.

    The slopes m_h fall geometrically from 2^(-8/n) for n heads, a power of two; for other numbers those of the next
    smaller power are filled up with every other slope of the next larger one. Press et al. (2022) look backwards only;
    where attention looks both ways the distance counts in both.
    """

    def __init__(self, heads: int):
        super().__init__()
        self.slopes = alibi_slopes(heads)

    def forward(self, L: int, S: int, device: torch.device, positions_BS: Tensor | None = None) -> Tensor:
        """[H, L, S] in float32, both sequences ending together.

        [B, H, 1, S] where keys stand at the positions given, of which the last is that of all queries.
        """
        if positions_BS is None:
            apart = torch.arange(S - L, S, device=device)[:, None] - torch.arange(S, device=device)
        else:
            apart = (positions_BS[:, -1:] - positions_BS)[:, None, None]
        return -torch.tensor(self.slopes, device=device)[:, None, None] * apart.abs()


def alibi_slopes(heads: int) -> list[float]:
    """One slope per head, such as 1/4, 1/16, 1/64, 1/256 for four."""
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (h + 1) / power) for h in range(power)]
    return slopes if power == heads else slopes + alibi_slopes(2 * power)[::2][: heads - power]
