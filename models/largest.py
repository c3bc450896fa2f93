"""The largest of many numbers, quickly.

torch's `topk` and `argmax` look at numbers one by one on a CPU; its `amax` is many times faster. So the largest of each
block come first, and only the blocks that can hold an answer are looked into.
Axes: B rows, K hypotheses, V vocabulary, N answers, W width of a block.
"""

import torch
from torch import Tensor

WIDTH = 96


def largest(x_BV: Tensor) -> Tensor:
    """Places [B] of the largest of each row: `x_BV.argmax(-1)`."""
    block_B1 = block_maxima(x_BV).argmax(-1, keepdim=True)
    places_BW = (block_B1 * WIDTH + torch.arange(WIDTH, device=x_BV.device)).clamp(max=x_BV.shape[-1] - 1)
    return places_BW.gather(1, x_BV.gather(1, places_BW).argmax(-1, keepdim=True)).squeeze(1)


def largest_sums(x_BKV: Tensor, add_BK: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """`(x_BKV + add_BK[:, :, None]).flatten(1).topk(n)`: values and places [B, N] in K * V, without the sum."""
    K, V = x_BKV.shape[1:]
    maxima_BKM = block_maxima(x_BKV)
    blocks = maxima_BKM.shape[-1]
    chosen = (maxima_BKM + add_BK[:, :, None]).flatten(1).topk(min(n, K * blocks), sorted=False).indices
    hypothesis_BN, block_BN = chosen // blocks, chosen % blocks
    within_BNW = block_BN[:, :, None] * WIDTH + torch.arange(WIDTH, device=x_BKV.device)
    places_BM = (hypothesis_BN[:, :, None] * V + within_BNW.clamp(max=V - 1)).flatten(1)
    sums_BM = x_BKV.flatten(1).gather(1, places_BM) + add_BK.gather(1, hypothesis_BN).repeat_interleave(WIDTH, dim=1)
    sums_BN, chosen = sums_BM.masked_fill((within_BNW >= V).flatten(1), -torch.inf).topk(n)
    return sums_BN, places_BM.gather(1, chosen)


def block_maxima(x: Tensor) -> Tensor:
    """[..., V] to [..., V / W], rounded up: the largest of every W neighbours; the last may be fewer."""
    whole = x.shape[-1] // WIDTH * WIDTH
    maxima = x[..., :whole].unflatten(-1, (whole // WIDTH, WIDTH)).amax(-1)
    if whole == x.shape[-1]:
        return maxima
    return torch.cat([maxima, x[..., whole:].amax(-1, keepdim=True)], dim=-1)
