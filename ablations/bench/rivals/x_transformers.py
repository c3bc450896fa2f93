"""The x-transformers library: a decoder of our sizes."""

from importlib import import_module

from torch import Tensor, nn

from ablations.config import RunConfig
from data.batch import Batch


def language_model(config: RunConfig, vocabulary: int) -> nn.Module:
    """Pre-norm, learned positions, tied embeddings, no biases in attention."""
    theirs = import_module("x_transformers")

    m = config.model
    layers = theirs.Decoder(
        dim=m.d_model,
        depth=m.decoder_layers,
        heads=m.heads,
        attn_dim_head=m.width_of_head,
        attn_dropout=m.attention_dropout,
        attn_flash=True,
        layer_dropout=0.0,
        ff_mult=m.d_ff / m.d_model,
        ff_dropout=m.dropout,
        ff_no_bias=not m.bias,
    )
    return theirs.TransformerWrapper(
        num_tokens=vocabulary,
        max_seq_len=config.task.context,
        attn_layers=layers,
        emb_dropout=m.dropout,
        tie_embedding=True,
    )


def language_logits(model: nn.Module, batch: Batch) -> Tensor:
    """[B, L, V]."""
    return model(batch.inputs["tokens"])
