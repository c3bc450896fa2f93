"""The 300 M language model of arXiv 2606.04032 on a GPU: training, and decoding at long contexts."""

from collections.abc import Iterator

import torch

from ablations.bench import memory
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.step import losses, steps
from ablations.bench.timing import interleaved, once, ratio, spread
from ablations.compose import compose
from ablations.config import RunConfig
from models.budget import budget
from models.cache import DecoderCache
from models.init import initialise
from models.loss import Objective
from models.transformer import LanguageModel

VOCABULARY, CONTEXT, ROWS = 50_304, 2048, 16  # GPT-2's, the paper's, ours
DECODED = {2048: 32, 8192: 16, 32_768: 8}  # context -> rows decoded at once
PIECE = 1024  # tokens by which a long past is filled
QUICK = ["model.d_model=64", "model.d_ff=128", "model.decoder_layers=2"]


def paper_300m(setup: Setup) -> Iterator[Table]:
    """A table for training and one for each context. Raises ValueError without a GPU, or without strategies."""
    if setup.device != "cuda" and not setup.quick:
        raise ValueError("paper_300m takes hours on a CPU: give --device cuda, or --quick to see that it runs")
    if not setup.strategies:
        raise ValueError("paper_300m wants to know which strategies: give --strategies NAME..., the baseline first")
    yield _training(setup)
    for context, rows in ({32: 2} if setup.quick else DECODED).items():
        yield _decoding(setup, context, rows)


def _build(setup: Setup, strategy: str, position: str, context: int) -> tuple[RunConfig, LanguageModel, int]:
    words = [f"projection={strategy}", f"position={position}", "model.dropout=0", *(QUICK if setup.quick else [])]
    config = compose(["model=paper_300m", "optim=paper_300m", *words])
    vocabulary = 100 if setup.quick else VOCABULARY
    model = LanguageModel(config.model, config.sites, config.position, vocabulary, context)
    initialise(model, 0, config.model.init, config.model.decoder_layers)
    return config, model.to(setup.place), vocabulary


def _training(setup: Setup) -> Table:
    """One model at a time: together they would not leave room for activations."""
    rows, context = (2, 32) if setup.quick else (ROWS, CONTEXT)
    table = Table(
        f"Training: {rows} x {context} tokens, bf16, no dropout",
        ["strategy", "parameters", "tokens/s", "TFLOP/s", "share of peak", "step's memory, GB"],
    )
    for strategy in setup.strategies:
        config, model, vocabulary = _build(setup, strategy, "learned", context)
        tokens = torch.randint(0, vocabulary, (rows, context), device=setup.place)
        objective = Objective(model)
        peak = memory.of_a_step(setup, model, lambda o=objective, t=tokens: losses(o, {"tokens": t}, t, "bf16"))
        work = once(steps(config, model, {"tokens": tokens}, tokens, "bf16"))
        table.samples |= interleaved({strategy: work}, setup.rounds, setup.now, 5 * setup.seconds)
        costs = budget(config.model, config.sites, config.position, "language_modeling", vocabulary, context, context)
        rate = tokens.numel() / spread(table.samples[strategy]).median
        done = 3 * costs.flops_per_token * rate / 1e12
        share = f"{100 * done / setup.peak:.1f} %" if setup.peak else "--peak not given"
        row = [strategy, f"{costs.parameters:,}", f"{rate:,.0f}", f"{done:.1f}", share, f"{peak / 2**30:.2f}"]
        table.rows.append(row)
        del model, objective, work
    table.notes.append("FLOPs as models/budget.py counts them, three times a forward pass; masked pairs count in full")
    table.notes.append("bar: 45 % of the peak; 150,000 tokens/s; the paper's eight A100 made 52,900 each")
    return table


def _decoding(setup: Setup, context: int, rows: int) -> Table:
    title = f"Decoding: one token for each of {rows} rows behind {context} tokens, bf16"
    first = setup.strategies[0]
    columns = ["strategy", "tokens/s", f"times {first}", "cache a token", "promised", "cache, GB"]
    table = Table(title, columns)
    works, caches, promised = {}, {}, {}
    for strategy in setup.strategies:
        config, model, vocabulary = _build(setup, strategy, "sinusoidal", context)
        model = model.to(torch.bfloat16).eval()
        tokens = torch.randint(0, vocabulary, (rows, context), device=setup.place)
        caches[strategy] = _filled(model, tokens)
        works[strategy] = once(lambda m=model, c=caches[strategy], t=tokens: _next(m, c, t))
        costs = budget(config.model, config.sites, config.position, "language_modeling", vocabulary, context, context)
        promised[strategy] = costs.cache_numbers_per_token
    measured = {name: sum(past.numbers for past in cache.past) // (rows * context) for name, cache in caches.items()}
    held = {name: 2 * rows * context * count / 2**30 for name, count in measured.items()}
    table.samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
    for strategy, seconds in table.samples.items():
        rate, times = rows / spread(seconds).median, ratio(table.samples, strategy, first)
        row = [strategy, f"{rate:,.0f}", str(times), f"{measured[strategy]:,}", f"{promised[strategy]:,}"]
        table.rows.append([*row, f"{held[strategy]:.3f}"])
    return table


@torch.inference_mode()
def _filled(model: LanguageModel, tokens: torch.Tensor) -> DecoderCache:
    """A cache that holds all these tokens."""
    cache = model.new_cache(tokens.shape[1] + 1024)
    with torch.autocast(tokens.device.type, torch.bfloat16):
        for piece in tokens.split(PIECE, dim=1):
            model.states(piece, cache)
    return cache


@torch.inference_mode()
def _next(model: LanguageModel, cache: DecoderCache, tokens: torch.Tensor) -> None:
    with torch.autocast(tokens.device.type, torch.bfloat16):
        model(tokens[:, :1], cache)
