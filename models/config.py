"""Sizes of a Transformer, and which strategy stands at which attention site."""

from dataclasses import dataclass, field

from models.projections.config import ProjectionConfig


@dataclass
class ModelConfig:
    """One Transformer, without its vocabulary. Presets: `conf/model/`."""

    name: str = "tiny"
    d_model: int = 128  # width of the residual stream
    heads: int = 4  # query heads
    head_dim: int | None = None  # width of a head; none: d_model / heads
    d_ff: int = 512  # width of the feed-forward layer
    encoder_layers: int = 2  # translator only
    decoder_layers: int = 2  # the depth of a language model
    norm: str = "pre"  # where LayerNorm stands: pre | post (Vaswani et al. 2017)
    activation: str = "gelu"  # gelu | relu
    bias: bool = True  # biases in maps, feed-forward layers and LayerNorm
    tied_embeddings: bool = True  # source, target and output share one matrix
    dropout: float = 0.1  # on embeddings and on every residual branch
    attention_dropout: float = 0.0  # on attention weights
    init: str = "xavier"  # xavier | gpt2 (normal .02, residual branches scaled down by depth)

    @property
    def width_of_head(self) -> int:
        """`head_dim`, or the model's width shared out among the heads."""
        return self.head_dim or self.d_model // self.heads


@dataclass
class PositionConfig:
    """How a model knows about order. Kinds: none | sinusoidal | learned | rotary."""

    kind: str = "sinusoidal"
    base: float = 10_000.0  # longest wavelength / 2 pi, of sinusoidal and rotary
    max_length: int | None = None  # learned: number of positions; none: what the task needs


@dataclass
class SitesConfig:
    """The strategy at each attention site. A language model has only the decoder's."""

    encoder: ProjectionConfig = field(default_factory=ProjectionConfig)
    decoder: ProjectionConfig = field(default_factory=ProjectionConfig)
    cross: ProjectionConfig = field(default_factory=ProjectionConfig)
