"""Models of torch.nn's own Transformer layers, with what one has to add: embeddings, positions, output."""

import torch
from torch import Tensor, nn

from ablations.config import RunConfig
from data.batch import Batch
from models.positions import angles


class TorchTranslator(nn.Module):
    """nn.Transformer, one matrix for both embeddings and the output, sinusoidal positions."""

    def __init__(self, config: RunConfig, vocabulary: int):
        super().__init__()
        m = config.model
        self.embedding = nn.Embedding(vocabulary, m.d_model)
        self.dropout, self.gain = nn.Dropout(m.dropout), m.d_model**0.5
        turns = angles(0, config.task.context, m.d_model, config.position.base, torch.device("cpu"))
        self.register_buffer("positions", torch.cat([turns.sin(), turns.cos()], dim=-1)[:, : m.d_model])
        self.transformer = nn.Transformer(
            m.d_model,
            m.heads,
            m.encoder_layers,
            m.decoder_layers,
            m.d_ff,
            m.dropout,
            m.activation,
            batch_first=True,
            norm_first=True,
            bias=m.bias,
        )

    def _embed(self, tokens: Tensor) -> Tensor:
        positions = self.get_buffer("positions")[: tokens.shape[1]]
        return self.dropout(self.embedding(tokens) * self.gain + positions)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, L, V]."""
        source, mask, target = (batch.inputs[name] for name in ("source", "source_mask", "target"))
        hidden = self.transformer(
            self._embed(source),
            self._embed(target),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.shape[1], target.device),
            src_key_padding_mask=~mask,
            memory_key_padding_mask=~mask,
            tgt_is_causal=True,
        )
        return hidden @ self.embedding.weight.T


class TorchLanguageModel(nn.Module):
    """nn.TransformerEncoder under a causal mask, learned positions, tied embeddings."""

    def __init__(self, config: RunConfig, vocabulary: int):
        super().__init__()
        m = config.model
        self.embedding = nn.Embedding(vocabulary, m.d_model)
        self.positions = nn.Embedding(config.task.context, m.d_model)
        self.dropout = nn.Dropout(m.dropout)
        layer = nn.TransformerEncoderLayer(
            m.d_model, m.heads, m.d_ff, m.dropout, m.activation, batch_first=True, norm_first=True, bias=m.bias
        )
        last = nn.LayerNorm(m.d_model, bias=m.bias)
        self.layers = nn.TransformerEncoder(layer, m.decoder_layers, last, enable_nested_tensor=False)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, L, V]."""
        tokens = batch.inputs["tokens"]
        L = tokens.shape[1]
        x_BLC = self.dropout(self.embedding(tokens) + self.positions.weight[:L])
        mask = nn.Transformer.generate_square_subsequent_mask(L, tokens.device)
        return self.layers(x_BLC, mask, is_causal=True) @ self.embedding.weight.T
