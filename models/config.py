"""Sizes of a Transformer, and which strategy stands at which attention site."""

from dataclasses import dataclass, field

from models.projections.choice import one_of
from models.projections.config import ProjectionConfig

NORMS = ("pre", "post")
ACTIVATIONS = ("gelu", "relu")
INITS = ("xavier", "gpt2")
POSITIONS = ("none", "sinusoidal", "learned", "rotary", "alibi")


@dataclass
class ModelConfig:
    """One Transformer, without its vocabulary. Presets: `conf/model/`."""

    name: str = "tiny"
    d_model: int = 128  # width of the residual stream
    heads: int = 4  # query heads
    head_dim: int | None = None  # width of a head; none: d_model / heads
    d_ff: int = 512  # width of the feed-forward layer
    encoder_layers: int = 2  # of a translator; the depth of a classifier
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

    def check(self) -> None:
        """Raise a ValueError with the reason unless a model of these sizes can be built."""
        for key in ("d_model", "heads", "d_ff", "encoder_layers", "decoder_layers"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        if self.head_dim is not None and self.head_dim < 1:
            raise ValueError(f"head_dim={self.head_dim} must be at least 1, or null for d_model / heads")
        if self.head_dim is None and self.d_model % self.heads:
            near = round(self.d_model / self.heads) or 1
            raise ValueError(
                f"d_model={self.d_model} is not divisible by heads={self.heads}: "
                f"choose d_model={near * self.heads}, or set head_dim"
            )
        one_of("norm", self.norm, NORMS)
        one_of("activation", self.activation, ACTIVATIONS)
        one_of("init", self.init, INITS)
        for key in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 0 and below 1")


@dataclass
class PositionConfig:
    """How a model knows about order. Kinds: none | sinusoidal | learned | rotary | alibi."""

    kind: str = "sinusoidal"
    base: float = 10_000.0  # longest wavelength / 2 pi, of sinusoidal and rotary
    max_length: int | None = None  # learned: number of positions; none: what the task needs

    def check(self, head_dim: int, by_angle: bool = True) -> None:
        """Raise a ValueError with the reason unless these positions fit self-attention with heads of this width.

        `by_angle`: a score is a product of query and key, so that turning them changes it.
        """
        one_of("kind", self.kind, POSITIONS)
        if self.kind == "rotary" and head_dim % 2:
            raise ValueError(f"rotary positions turn pairs of numbers, and head_dim={head_dim} is odd: make it even")
        if self.kind == "rotary" and not by_angle:
            raise ValueError(
                "rotary positions show in the angle between query and key, which this strategy's score does not look "
                "at: choose another position, or a strategy with a product of query and key"
            )
        if not 1 < self.base < float("inf"):
            raise ValueError(f"base={self.base} must be a finite number above 1")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length={self.max_length} must be at least 1, or null for what the task needs")


@dataclass
class SitesConfig:
    """The strategy at each attention site. A language model has only the decoder's."""

    encoder: ProjectionConfig = field(default_factory=ProjectionConfig)
    decoder: ProjectionConfig = field(default_factory=ProjectionConfig)
    cross: ProjectionConfig = field(default_factory=ProjectionConfig)
