"""A training step of a language model, ours against what people would take instead."""

import dataclasses
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from ablations.bench import ours
from ablations.bench.report import Table
from ablations.bench.rivals import extras, huggingface, nanogpt, plain, torch_nn, x_transformers
from ablations.bench.setup import Setup
from ablations.bench.timing import Work, interleaved, ratio, spread
from ablations.config import RunConfig
from data.prepared import Prepared

NANOGPT = ["model=nanogpt_cpu", "optim=nanogpt", "position=learned", "task=tiny_shakespeare", "trainer=nanogpt_cpu"]
SETTINGS = {  # title -> overrides, and the factor by which nanoGPT should be slower
    "4 layers, 128 wide, 12 x 64 tokens": (["task.context=64"], 1.9),
    "6 layers, 384 wide, 16 x 256 tokens, no dropout": (
        ["model=nanogpt_gpu", "model.dropout=0", "model.attention_dropout=0"]
        + ["task.context=256", "trainer.batch_tokens=4096"],
        3.0,
    ),
    "6 layers, 384 wide, 16 x 256 tokens, dropout 0.2": (
        ["model=nanogpt_gpu", "task.context=256", "trainer.batch_tokens=4096"],
        2.2,
    ),
}
QUICK = [
    "task=python_docs",
    "model.d_model=16",
    "model.d_ff=64",
    "model.decoder_layers=1",
    "model.heads=2",
    "task.context=16",
]


def language_models(setup: Setup) -> Iterator[Table]:
    """A table for each size of model."""
    for title, (words, bar) in list(SETTINGS.items())[: 1 if setup.quick else None]:
        yield _table(setup, title, words, bar)


def _table(setup: Setup, title: str, words: list[str], bar: float) -> Table:
    table = Table(
        f"Training a language model: {title}",
        ["what", "ms a step", "tokens/s", "times ours", "parameters", "what differs"],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loops, parameters, differs = {}, {}, {}
        given = [*NANOGPT, *words, *(QUICK if setup.quick else [])]
        config, prepared = ours.configured(given, setup.device, setup.corpora, setup.cache)
        for precision in ("fp32", "bf16"):
            label = f"ours, {precision}"
            mine = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, precision=precision))
            loops[label] = ours.training(mine, prepared, folder / precision)
            parameters[label] = ours.parameters(config, prepared)
            differs[label] = ""
        if setup.nanogpt is None:
            table.notes.append("nanoGPT: not here: git clone https://github.com/karpathy/nanoGPT, and --nanogpt FOLDER")
        else:
            label, compiled = "nanoGPT", setup.device == "cuda"
            loops[label], parameters[label] = nanogpt.training(setup.nanogpt, config, prepared, folder, compiled)
            differs[label] = "its train.py as it ships" + (", compiled" if compiled else ": float32, not compiled")
        works = {label: Work(loop.steps, partial(_tokens, config)) for label, loop in loops.items()}
        for label, (work, count, said) in _plain(config, prepared, table).items():
            works[label], parameters[label], differs[label] = work, count, said
        table.samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
        for loop in loops.values():
            loop.close()
    tokens = _tokens(config, 1)
    for label, seconds in table.samples.items():
        step = spread([1000 * tokens * value for value in seconds])
        table.rows.append(
            [label, f"{step.median:.2f}", f"{1000 * tokens / step.median:,.0f}"]
            + [str(ratio(table.samples, label, "ours, fp32")), f"{parameters[label]:,}", differs[label]]
        )
    table.notes.append(f"bar: nanoGPT {bar} times ours")
    return table


def _tokens(config: RunConfig, steps: int) -> float:
    """In so many full batches."""
    return float(steps * (config.trainer.batch_tokens // config.task.context * config.task.context))


def _plain(config: RunConfig, prepared: Prepared, table: Table) -> dict[str, tuple[Work, int, str]]:
    """Other libraries' models in a plain loop over our own batches."""
    torch.manual_seed(0)
    vocabulary, models = prepared.tokenizer.size, {}
    model = torch_nn.TorchLanguageModel(config, vocabulary)
    models["torch.nn.TransformerEncoder"] = (model, model, "plain loop, our batches")
    for name, package, module, words in (
        ("Hugging Face GPT-2", "transformers", huggingface, "plain loop, our batches; biases everywhere"),
        ("x-transformers", "x_transformers", x_transformers, "plain loop, our batches; its own placing of norms"),
    ):
        if why := extras.missing(package):
            table.notes.append(f"{name}: {why}")
        else:
            model = module.language_model(config, vocabulary)
            models[name] = (model, partial(module.language_logits, model), words)
    return {
        name: (plain.training(model, logits, config, prepared), sum(p.numel() for p in model.parameters()), words)
        for name, (model, logits, words) in models.items()
    }
