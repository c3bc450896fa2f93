"""Hugging Face's transformers: GPT-2, Marian, and M2M100, which is a pre-norm translator like ours."""

import logging
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from ablations.bench.rivals import extras
from ablations.config import RunConfig
from data.batch import BOS, EOS, PAD, Batch
from models.positions import angles
from models.transformer import Translator


def language_model(config: RunConfig, vocabulary: int) -> nn.Module:
    """GPT-2 of our sizes. Its layers always have biases, its dropout falls where ours does."""
    theirs = import_module("transformers")

    m = config.model
    return theirs.GPT2LMHeadModel(
        theirs.GPT2Config(
            vocab_size=vocabulary,
            n_positions=config.task.context,
            n_embd=m.d_model,
            n_layer=m.decoder_layers,
            n_head=m.heads,
            n_inner=m.d_ff,
            activation_function=m.activation,
            resid_pdrop=m.dropout,
            embd_pdrop=m.dropout,
            attn_pdrop=m.attention_dropout,
            use_cache=False,
            bos_token_id=BOS,
            eos_token_id=EOS,
        )
    )


def marian(config: RunConfig, vocabulary: int) -> nn.Module:
    """Of our sizes. It is post-norm, which costs the same."""
    theirs = import_module("transformers")

    return theirs.MarianMTModel(theirs.MarianConfig(**_sizes(config, vocabulary)))


def m2m100(config: RunConfig, vocabulary: int) -> nn.Module:
    """Of our sizes, and of our maths."""
    theirs = import_module("transformers")

    return theirs.M2M100ForConditionalGeneration(theirs.M2M100Config(**_sizes(config, vocabulary)))


def _sizes(config: RunConfig, vocabulary: int) -> dict[str, Any]:
    m = config.model
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return {
        "vocab_size": vocabulary,
        "max_position_embeddings": config.task.context,
        "d_model": m.d_model,
        "encoder_layers": m.encoder_layers,
        "decoder_layers": m.decoder_layers,
        "encoder_attention_heads": m.heads,
        "decoder_attention_heads": m.heads,
        "encoder_ffn_dim": m.d_ff,
        "decoder_ffn_dim": m.d_ff,
        "activation_function": m.activation,
        "dropout": m.dropout,
        "attention_dropout": m.attention_dropout,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "scale_embedding": True,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "decoder_start_token_id": BOS,
        "forced_eos_token_id": None,
        "tie_word_embeddings": True,
    }


def language_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Of a language model."""
    return model(input_ids=batch.inputs["tokens"]).logits


def translation_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Of a translator."""
    inputs = batch.inputs
    given = {"input_ids": inputs["source"], "attention_mask": inputs["source_mask"].long()}
    return model(**given, decoder_input_ids=inputs["target"], use_cache=False).logits


def filled(model: Translator, config: RunConfig) -> nn.Module:
    """M2M100 with the weights of our translator, so that it says the same.

    Raises ValueError for a strategy or a form that it has no counterpart of.
    """
    vocabulary, width = model.embedding.weight.shape
    theirs = m2m100(config, vocabulary).eval()
    turns = angles(0, config.task.context, width, config.position.base, torch.device("cpu"))
    table = torch.cat([turns.sin(), turns.cos()], dim=-1)[:, :width]
    state = {"model.shared.weight": model.embedding.weight}
    for side, blocks, last in (("encoder", model.encoder, model.encoder_norm), ("decoder", model.decoder, model.norm)):
        positions = theirs.get_submodule(f"model.{side}.embed_positions")
        weights = positions.get_buffer("weights")
        weights[PAD + 1 : PAD + 1 + len(table)] = table[: len(weights) - PAD - 1]  # counted from behind the padding
        state |= extras.named(f"model.{side}.layer_norm", last)
        for number, block in extras.numbered(blocks):
            name = f"model.{side}.layers.{number}"
            state |= _attention(f"{name}.self_attn", block.attention)
            state |= extras.named(f"{name}.self_attn_layer_norm", block.attention_norm)
            if side == "decoder":
                state |= _attention(f"{name}.encoder_attn", block.cross)
                state |= extras.named(f"{name}.encoder_attn_layer_norm", block.cross_norm)
            state |= extras.named(f"{name}.fc1", block.feed_forward.up) | extras.named(
                f"{name}.fc2", block.feed_forward.down
            )
            state |= extras.named(f"{name}.final_layer_norm", block.feed_forward_norm)
    unfilled, unknown = theirs.load_state_dict(state, strict=False)
    known = set(state) | {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
    assert not unknown and set(unfilled) <= known, (unknown, unfilled)
    return theirs


def _attention(name: str, site: nn.Module) -> dict[str, Tensor]:
    maps = extras.role_maps(site)
    theirs = {f"{name}.{role}_proj.{kind}": maps[f"{role}.{kind}"] for role in "qkv" for kind in ("weight", "bias")}
    return theirs | extras.named(f"{name}.out_proj", site.get_submodule("out"))


def search(model: Any, source: Tensor, mask: Tensor, beam: int, longest: int) -> list[list[int]]:
    """What `generate` finds, without bos and eos."""
    found = model.generate(
        input_ids=source,
        attention_mask=mask.long(),
        num_beams=beam,
        do_sample=False,
        max_new_tokens=longest,
        length_penalty=1.0,
        bad_words_ids=[[PAD], [BOS]] if beam > 1 else None,
    )
    return [[t for t in row if t not in (PAD, BOS, EOS)] for row in found[:, 1:].tolist()]
