"""A decoder-only language model, an encoder-decoder translator and an encoder-only classifier from the same blocks.

Axes: B batch, L target length, S source length, C model width, V vocabulary, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.cache import DecoderCache
from models.config import ModelConfig, PositionConfig, SitesConfig
from models.dropout import Dropout
from models.layers import Block, norm
from models.positions import added_position


class Embedding(nn.Module):
    """Integers to vectors, positions added, dropout.

    With Xavier initialisation rows have norm 1 and are multiplied by sqrt(C), as Vaswani et al. (2017) do, so that the
    same matrix serves as output map; GPT-2's small normal weights are used as they are.
    """

    def __init__(self, model: ModelConfig, position: PositionConfig, vocabulary: int, max_length: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, model.d_model))
        self.position = added_position(position, model.d_model, max_length)
        self.dropout = Dropout(model.dropout)
        self.gain = model.d_model**0.5 if model.init == "xavier" else 1.0

    def forward(self, tokens_BL: Tensor, start: int = 0, abreast: bool = False) -> Tensor:
        """[B, L] to [B, L, C]; the first token stands at position `start`, or all of them do, side by side."""
        if abreast:
            return self(tokens_BL.reshape(-1, 1), start).unflatten(0, tokens_BL.shape).squeeze(2)
        x_BLC = F.embedding(tokens_BL, self.weight) * self.gain
        return self.dropout(x_BLC if self.position is None else self.position(x_BLC, start))


class LanguageModel(nn.Module):
    """Predicts the next token from those before it."""

    def __init__(
        self, model: ModelConfig, sites: SitesConfig, position: PositionConfig, vocabulary: int, max_length: int
    ):
        super().__init__()
        model.check()
        self.embedding = Embedding(model, position, vocabulary, max_length)
        self.decoder = nn.ModuleList(Block(model, position, sites.decoder) for _ in range(model.decoder_layers))
        self.norm = norm(model) if model.norm == "pre" else nn.Identity()
        self.output = None if model.tied_embeddings else nn.Linear(model.d_model, vocabulary, bias=False)

    def forward(self, tokens: Tensor, cache: DecoderCache | None = None) -> Tensor:
        """Logits [B, L, V] of the token after each of tokens [B, L]; with a cache, tokens continue what it holds."""
        return F.linear(self.states(tokens, cache), *self.output_map)

    def states(self, tokens: Tensor, cache: DecoderCache | None = None) -> Tensor:
        """[B, L, C], of which `output_map` makes the logits."""
        x_BLC = self.embedding(tokens, 0 if cache is None else len(cache))
        for i, block in enumerate(self.decoder):
            x_BLC = block(x_BLC, causal=True, past=None if cache is None else cache.past[i])
        return self.norm(x_BLC)

    @property
    def output_map(self) -> tuple[Tensor, None]:
        """The matrix [V, C] from states to logits: the embedding's where the two are tied; and no bias."""
        return self.embedding.weight if self.output is None else self.output.weight, None

    def new_cache(self, room: int = 16) -> DecoderCache:
        """An empty cache, with room for so many tokens before it has to grow."""
        return DecoderCache(len(self.decoder), room)


class Translator(nn.Module):
    """Predicts the next target token from the source and the target tokens before it."""

    def __init__(
        self, model: ModelConfig, sites: SitesConfig, position: PositionConfig, vocabulary: int, max_length: int
    ):
        super().__init__()
        model.check()
        self.embedding = Embedding(model, position, vocabulary, max_length)
        self.source_embedding = None if model.tied_embeddings else Embedding(model, position, vocabulary, max_length)
        self.encoder = nn.ModuleList(Block(model, position, sites.encoder) for _ in range(model.encoder_layers))
        self.encoder_norm = norm(model) if model.norm == "pre" else nn.Identity()
        self.decoder = nn.ModuleList(
            Block(model, position, sites.decoder, sites.cross) for _ in range(model.decoder_layers)
        )
        self.norm = norm(model) if model.norm == "pre" else nn.Identity()
        self.output = None if model.tied_embeddings else nn.Linear(model.d_model, vocabulary, bias=False)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """Logits [B, L, V] of the token after each of target [B, L], given source [B, S], mask True at real tokens."""
        return F.linear(self.states(source, source_mask, target), *self.output_map)

    def states(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        """[B, L, C], of which `output_map` makes the logits."""
        return self.decoded(target, self.encode(source, source_mask), source_mask)

    @property
    def output_map(self) -> tuple[Tensor, None]:
        """The matrix [V, C] from states to logits: the embedding's where the two are tied; and no bias."""
        return self.embedding.weight if self.output is None else self.output.weight, None

    def encode(self, source: Tensor, source_mask: Tensor) -> Tensor:
        """States [B, S, C] of source tokens [B, S]."""
        x_BSC = (self.source_embedding or self.embedding)(source)
        mask = source_mask[:, None, None, :]
        for block in self.encoder:
            x_BSC = block(x_BSC, mask)
        return self.encoder_norm(x_BSC)

    def decode(
        self, target: Tensor, states_BSC: Tensor, source_mask: Tensor, cache: DecoderCache | None = None
    ) -> Tensor:
        """Logits [B, L, V]; with a cache, target continues what it holds. Padding at the end of target is harmless.

        Where the cache is a tree, target [B, K] is one token of each of K hypotheses.
        """
        return F.linear(self.decoded(target, states_BSC, source_mask, cache), *self.output_map)

    def decoded(
        self, target: Tensor, states_BSC: Tensor, source_mask: Tensor, cache: DecoderCache | None = None
    ) -> Tensor:
        """The states [B, L, C] behind these logits."""
        start, abreast = (0, False) if cache is None else (len(cache), cache.tree is not None)
        x_BLC = self.embedding(target, start, abreast)
        mask = source_mask[:, None, None, :]
        for i, block in enumerate(self.decoder):
            past, source = (cache.past[i], cache.source[i]) if cache is not None else (None, None)
            x_BLC = block(x_BLC, None, True, states_BSC, mask, past, source)
        return self.norm(x_BLC)

    def new_cache(self, room: int = 16) -> DecoderCache:
        """An empty cache, with room for so many tokens before it has to grow."""
        return DecoderCache(len(self.decoder), room)


class Classifier(nn.Module):
    """Tells the class of a sequence from the mean of its encoded tokens."""

    def __init__(
        self,
        model: ModelConfig,
        sites: SitesConfig,
        position: PositionConfig,
        vocabulary: int,
        max_length: int,
        classes: int,
    ):
        super().__init__()
        model.check()
        self.embedding = Embedding(model, position, vocabulary, max_length)
        self.encoder = nn.ModuleList(Block(model, position, sites.encoder) for _ in range(model.encoder_layers))
        self.norm = norm(model) if model.norm == "pre" else nn.Identity()
        self.classify = nn.Linear(model.d_model, classes)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, K] of tokens [B, L], mask True at real tokens."""
        return self.classify(self.states(tokens, mask))

    def states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, C], of which `output_map` makes the logits."""
        x_BLC = self.embedding(tokens)
        for block in self.encoder:
            x_BLC = block(x_BLC, mask[:, None, None, :])
        x_BLC = self.norm(x_BLC).masked_fill(~mask[:, :, None], 0.0)
        return x_BLC.sum(1) / mask.sum(1, keepdim=True)

    @property
    def output_map(self) -> tuple[Tensor, Tensor]:
        """The matrix [K, C] and the bias [K] from states to logits."""
        return self.classify.weight, self.classify.bias
