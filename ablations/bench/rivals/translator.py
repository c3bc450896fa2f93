"""A training step of a translator, ours against what people would take instead, a real target the unit."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from ablations.bench import ours
from ablations.bench.report import Table
from ablations.bench.rivals import extras, huggingface, joeynmt, plain, torch_nn
from ablations.bench.setup import Setup
from ablations.bench.timing import Work, interleaved, ratio, spread
from ablations.config import RunConfig
from data.batch import IGNORE, PAD
from data.loader import Loader
from data.prepared import Prepared

WORDS = ["task=multi30k_en_de", "model=small", "optim=translation", "trainer=multi30k", "trainer.precision=fp32"]
QUICK = [
    "task=toy_translation",
    "model.d_model=16",
    "model.d_ff=32",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
]
SENTENCES = 128  # in JoeyNMT's batches: as many as ours hold
BAR, PADDING = 5.0, 0.05


def translators(setup: Setup) -> Iterator[Table]:
    """One table."""
    words = [*WORDS, *QUICK] if setup.quick else WORDS
    config, prepared = ours.configured(words, setup.device, setup.corpora, setup.cache)
    m = config.model
    table = Table(
        f"Training a translator: {m.encoder_layers}+{m.decoder_layers} layers, {m.d_model} wide, {config.task.name}",
        ["what", "ms for 1,000 targets", "real targets/s", "times ours", "padding", "parameters", "what differs"],
    )
    with tempfile.TemporaryDirectory() as name:
        loop = ours.training(config, prepared, Path(name) / "ours")
        works = {"ours": ours.in_targets(config, prepared, loop)}
        beside = {"ours": (padding(config, prepared), ours.parameters(config, prepared), "")}
        joeys = _joeynmt(setup, config, prepared, Path(name), table)
        for label, (training, differs) in joeys.items():
            works[label] = training.work
            training.loop.steps(1)
            beside[label] = (0.0, training.parameters, differs)
        for label, (work, parameters, differs) in _plain(config, prepared, table).items():
            works[label] = work
            beside[label] = (beside["ours"][0], parameters, differs)
        table.samples = interleaved(works, setup.rounds, setup.now, 3 * setup.seconds)
        loop.close()
        for label, (training, differs) in joeys.items():
            beside[label] = (1 - training.real / training.places, training.parameters, differs)
            training.loop.close()
    for label, seconds in table.samples.items():
        found, (share, parameters, differs) = spread([1000 * value for value in seconds]), beside[label]
        table.rows.append(
            [
                label,
                f"{1000 * found.median:.1f}",
                f"{1000 / found.median:,.0f}",
                str(ratio(table.samples, label, "ours")),
            ]
            + [f"{100 * share:.1f} %", f"{parameters:,}", differs]
        )
    table.notes += [
        f"bar: {BAR} times ours for JoeyNMT by sentences; padding of ours at most {100 * PADDING:.0f} %",
        "every system: fused or not as it comes, float32, label smoothing 0.1, clipping at 1, AdamW, tied embeddings;"
        " JoeyNMT decays all weights and warms up by its schedule noam, all else is its default",
        "padding: share of all places, source and target; a target is real where it is scored",
    ]
    yield table


def padding(config: RunConfig, prepared: Prepared, batches: int = 200) -> float:
    """Share of places in our training batches, both sides, that hold no token."""
    loader = Loader(prepared, config.trainer.batch_tokens, config.task.context, config.seed)
    places = real = 0
    for batch in loader.take(batches):
        places += batch.inputs["source"].numel() + batch.targets.numel()
        real += int((batch.inputs["source"] != PAD).sum()) + int((batch.targets != IGNORE).sum())
    return 1 - real / places


def _joeynmt(
    setup: Setup, config: RunConfig, prepared: Prepared, folder: Path, table: Table
) -> dict[str, tuple[joeynmt.Training, str]]:
    if why := joeynmt.found(setup.joeynmt):
        table.notes.append(f"JoeyNMT: {why}")
        return {}
    size = 8 if setup.quick else SENTENCES
    kinds = {"sentence": (size, f"its loop; batch_type sentence, {size} at random"), "token": (0, "")}
    kinds["token"] = (config.trainer.batch_tokens, f"its loop; batch_type token, {config.trainer.batch_tokens} in each")
    return {
        f"JoeyNMT, {kind}": (joeynmt.Training(config, prepared, folder / kind, kind, count), differs)
        for kind, (count, differs) in kinds.items()
    }


def _plain(config: RunConfig, prepared: Prepared, table: Table) -> dict[str, tuple[Work, int, str]]:
    """Other libraries' models in a plain loop over our own batches."""
    models, vocabulary = {}, prepared.tokenizer.size
    torch.manual_seed(0)
    model = torch_nn.TorchTranslator(config, vocabulary)
    models["torch.nn.Transformer"] = (model, model, "plain loop, our batches; dropout also on attention weights")
    if why := extras.missing("transformers"):
        table.notes.append(f"Hugging Face Marian: {why}")
    else:
        model = huggingface.marian(config, vocabulary)
        differs = "plain loop, our batches; post-norm"
        models["Hugging Face Marian"] = (model, partial(huggingface.translation_logits, model), differs)
    return {
        label: (plain.training(model, logits, config, prepared), sum(p.numel() for p in model.parameters()), differs)
        for label, (model, logits, differs) in models.items()
    }
