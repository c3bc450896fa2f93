"""JoeyNMT as it ships: its own training loop, data sets, batches and search, imported from a clone.

https://github.com/joeynmt/joeynmt (Apache 2.0). Its package pins a protobuf that W&B cannot live with, hence the clone.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ablations.bench.loop import Loop
from ablations.bench.rivals import extras
from ablations.bench.timing import Work
from ablations.config import RunConfig
from data.batch import BOS, EOS, PAD, UNK
from data.prepared import Prepared
from models.positions import angles
from models.transformer import Translator

ADDRESS = "https://github.com/joeynmt/joeynmt"
NEEDS = ("importlib_metadata", "sacremoses", "subword_nmt", "tensorboard", "sentencepiece")
OURS_TO_THEIRS = {UNK: 0, PAD: 1, BOS: 2, EOS: 3}  # its order of special symbols is fixed


def found(clone: str | None) -> str | None:
    """Why it cannot be compared with, or nothing; puts the clone where it can be imported."""
    try:
        extras.importable(extras.clone(clone, "--joeynmt", ADDRESS, "joeynmt/training.py"))
    except ValueError as error:
        return str(error)
    return extras.missing(*NEEDS)


class Training:
    """`joeynmt train` with a model of our sizes on our tokens, standing still between steps.

    `batch_type`: "sentence", its default, or "token"; `batch_size` counts them. Targets and places are counted.
    """

    def __init__(self, config: RunConfig, prepared: Prepared, folder: Path, batch_type: str, batch_size: int):
        theirs = _theirs("training")
        _write_tokens(folder, prepared)
        settings = _settings(config, prepared, folder)
        settings["training"] |= {"batch_type": batch_type, "batch_size": batch_size}
        given = _theirs("config").parse_global_args(settings)
        source, target, train, _, _ = _theirs("data").load_data(given.data, ["train"])
        model = _theirs("model").build_model(given.model, source, target)
        model.loss_function = (given.train.loss, given.train.label_smoothing)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.targets: list[int] = []
        self.places = self.real = 0
        outer = self

        class Manager(theirs.TrainManager):
            """Its manager, waiting before each step."""

            between: Callable[[], bool]

            def _train_step(self, batch: Any) -> Any:
                if outer.targets and self.between():
                    raise KeyboardInterrupt  # it saves and leaves
                outer.count(batch)
                return super()._train_step(batch)

        def body(between: Callable[[], bool]) -> None:
            manager = Manager(
                rank=0,
                model=model.to(given.device),
                model_dir=folder,
                device=given.device,
                n_gpu=given.n_gpu,
                num_workers=0,
                autocast=given.autocast,
                train_args=given.train,
                dev_args=given.test,
            )
            manager.between = between
            manager.train_and_validate(train, train)

        self.loop = Loop(body)
        self.work = Work(self.loop.steps, lambda steps: float(sum(self.targets[-steps:])))

    def count(self, batch: Any) -> None:
        """Real targets, and how much of a batch is padding."""
        self.targets.append(int(batch.ntokens))
        self.places += batch.src.numel() + batch.trg.numel()
        self.real += int(batch.src_mask.sum() + batch.trg_mask.sum())


def _theirs(module: str) -> Any:
    """A module of its, which does not print what it does."""
    found = import_module(f"joeynmt.{module}")
    for name in logging.root.manager.loggerDict:
        if name.startswith("joeynmt"):
            logging.getLogger(name).setLevel(logging.ERROR)
    return found


def _settings(config: RunConfig, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Its configuration file; what is not set here is its default."""
    m, optim = config.model, config.optim
    text = {"max_length": config.task.context, "level": "word", "voc_file": str(folder / "vocabulary.txt")}
    layers = {
        "type": "transformer",
        "num_heads": m.heads,
        "embeddings": {"embedding_dim": m.d_model, "scale": True},
        "hidden_size": m.d_model,
        "ff_size": m.d_ff,
        "dropout": m.dropout,
        "layer_norm": m.norm,
        "activation": m.activation,
    }
    return {
        "name": "bench",
        "model_dir": str(folder),
        "use_cuda": config.trainer.device == "cuda",
        "data": {
            "train": str(folder / "train"),
            "dataset_type": "plain",
            "src": {"lang": "src", **text},
            "trg": {"lang": "trg", **text},
        },
        "testing": {},
        "training": {
            "optimizer": "adamw",
            "adam_betas": list(optim.betas),
            "learning_rate": optim.lr,
            "weight_decay": optim.weight_decay,
            "label_smoothing": optim.label_smoothing,
            "clip_grad_norm": optim.clip,
            "normalization": "tokens",
            "scheduling": "noam",
            "epochs": 10**6,
            "validation_freq": 10**9,
            "logging_freq": 100,
        },
        "model": {
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": {**layers, "num_layers": m.encoder_layers},
            "decoder": {**layers, "num_layers": m.decoder_layers},
        },
    }


def _write_tokens(folder: Path, prepared: Prepared) -> None:
    """Our integers as words, so that its vocabulary is ours."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocabulary.txt").write_text("".join(f"{token}\n" for token in range(4, prepared.tokenizer.size)))
    for side, suffix in (("source", "src"), ("target", "trg")):
        flat, offsets = prepared.side("train", side)
        rows = (flat[a : b - 1].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True))  # without eos
        words = (" ".join("<unk>" if token == UNK else str(token) for token in row) for row in rows)
        (folder / f"train.{suffix}").write_text("".join(f"{line}\n" for line in words))


def filled(model: Translator, config: RunConfig, prepared: Prepared, folder: Path) -> nn.Module:
    """Its model with the weights of our translator, so that it says the same."""
    _write_tokens(folder, prepared)
    given = _theirs("config").parse_global_args(_settings(config, prepared, folder) | {"training": {"batch_size": 1}})
    source, target = _theirs("vocabulary").build_vocab(given.data)
    theirs = _theirs("model").build_model(given.model, source, target).eval()
    rows = [UNK, PAD, BOS, EOS, *range(4, len(model.embedding.weight))]
    state: dict[str, Tensor] = {"src_embed.lut.weight": model.embedding.weight[rows]}
    table = angles(0, 5000, config.model.d_model, config.position.base, torch.device("cpu"))
    positions = torch.cat([table.sin(), table.cos()], dim=-1)[None, :, : config.model.d_model]
    for side, blocks, last in (("encoder", model.encoder, model.encoder_norm), ("decoder", model.decoder, model.norm)):
        state |= {f"{side}.pe.pe": positions} | extras.named(f"{side}.layer_norm", last)
        own, norm = ("src_src_att", "layer_norm") if side == "encoder" else ("trg_trg_att", "x_layer_norm")
        for number, block in extras.numbered(blocks):
            name = f"{side}.layers.{number}"
            state |= _attention(f"{name}.{own}", block.attention) | extras.named(f"{name}.{norm}", block.attention_norm)
            if side == "decoder":
                state |= _attention(f"{name}.src_trg_att", block.cross)
                state |= extras.named(f"{name}.dec_layer_norm", block.cross_norm)
            state |= extras.named(f"{name}.feed_forward.layer_norm", block.feed_forward_norm)
            state |= extras.named(f"{name}.feed_forward.pwff_layer.0", block.feed_forward.up)
            state |= extras.named(f"{name}.feed_forward.pwff_layer.3", block.feed_forward.down)
    unfilled, unknown = theirs.load_state_dict(state, strict=False)
    assert not unknown and set(unfilled) <= {"trg_embed.lut.weight", "decoder.output_layer.weight"}, (unknown, unfilled)
    return theirs


def _attention(name: str, site: nn.Module) -> dict[str, Tensor]:
    maps = extras.role_maps(site)
    theirs = {f"{name}.{role}_layer.{kind}": maps[f"{role}.{kind}"] for role in "qkv" for kind in ("weight", "bias")}
    return theirs | extras.named(f"{name}.output_layer", site.get_submodule("out"))


def search(model: nn.Module, source: Tensor, mask: Tensor, beam: int, longest: int) -> list[list[int]]:
    """What its search finds in a batch, in our integers, without bos and eos; beam 1 is its greedy search."""
    back = {there: here for here, there in OURS_TO_THEIRS.items()}
    table = torch.arange(int(source.max()) + 1)
    for here, there in OURS_TO_THEIRS.items():
        table[here] = there
    batch = _theirs("batch").Batch(
        src=table.to(source.device)[source],
        src_length=mask.sum(1),
        src_prompt_mask=None,
        trg=None,
        trg_prompt_mask=None,
        indices=torch.arange(len(source)),
        device=source.device,
        pad_index=OURS_TO_THEIRS[PAD],
        eos_index=OURS_TO_THEIRS[EOS],
        is_train=False,
    )
    order = batch.sort_by_src_length()
    found, _, _ = _theirs("search").search(model, batch, longest, beam_size=beam, beam_alpha=1.0, n_best=1)
    rows = [[back.get(token, token) for token in _until_eos(row)] for row in found.tolist()]
    return [rows[place] for place in order]


def _until_eos(row: list[int]) -> list[int]:
    """The tokens before the end."""
    end = row.index(OURS_TO_THEIRS[EOS]) if OURS_TO_THEIRS[EOS] in row else len(row)
    return [token for token in row[:end] if token not in (OURS_TO_THEIRS[PAD], OURS_TO_THEIRS[BOS])]
