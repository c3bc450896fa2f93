"""The block all models are made of: attention, cross-attention where there is a source, feed-forward.

Axes: B batch, L length, S source length, C model width, F feed-forward width.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from models.attention import CrossAttention, SelfAttention
from models.cache import Cache
from models.config import ModelConfig, PositionConfig
from models.dropout import Dropout
from models.positions import distance, rotation
from models.projections.config import ProjectionConfig


class Block(nn.Module):
    """One layer; every branch is added to its input, with LayerNorm before it (pre) or after the sum (post)."""

    def __init__(
        self,
        model: ModelConfig,
        position: PositionConfig,
        self_site: ProjectionConfig,
        cross_site: ProjectionConfig | None = None,
    ):
        super().__init__()
        self.pre = model.norm == "pre"
        sizes = (model.d_model, model.heads, model.width_of_head, model.bias, model.attention_dropout)
        self.attention_norm = norm(model)
        own = self_site.sizes(model.d_model, model.heads, model.width_of_head)
        position.check(own.head_dim, self_site.by_angle)
        self.attention = SelfAttention(
            self_site, *sizes, rotate=rotation(position, own.head_dim), distance=distance(position, own.heads)
        )
        if cross_site is not None:
            self.cross_norm = norm(model)
            self.cross = CrossAttention(cross_site, *sizes)
        self.feed_forward_norm = norm(model)
        self.feed_forward = FeedForward(model)
        self.dropout = Dropout(model.dropout)

    def forward(
        self,
        x_BLC: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        states_BSC: Tensor | None = None,
        source_mask: Tensor | None = None,
        past: Cache | None = None,
        source: Cache | None = None,
    ) -> Tensor:
        """[B, L, C] to [B, L, C]; `past` and `source` are this layer's caches."""
        x_BLC = self._add(x_BLC, self.attention_norm, lambda y: self.attention(y, mask, causal, past))
        if states_BSC is not None:
            x_BLC = self._add(x_BLC, self.cross_norm, lambda y: self.cross(y, states_BSC, source_mask, source))
        return self._add(x_BLC, self.feed_forward_norm, self.feed_forward)

    def _add(self, x: Tensor, norm: nn.Module, branch: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre:
            return x + self.dropout(branch(norm(x)))
        return norm(x + self.dropout(branch(x)))


class FeedForward(nn.Module):
    """W_2 f(W_1 x), f = GELU or ReLU."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        self.up = nn.Linear(model.d_model, model.d_ff, bias=model.bias)
        self.down = nn.Linear(model.d_ff, model.d_model, bias=model.bias)
        self.activation = F.relu if model.activation == "relu" else F.gelu

    def forward(self, x_BLC: Tensor) -> Tensor:
        """[B, L, C] to [B, L, C] by way of [B, L, F]."""
        return self.down(self.activation(self.up(x_BLC)))


def norm(model: ModelConfig) -> nn.LayerNorm:
    """LayerNorm over the model width."""
    return nn.LayerNorm(model.d_model, bias=model.bias)
