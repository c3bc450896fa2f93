"""Every strategy: how fast it trains and decodes, what it needs to, and what it remembers of a token."""

from collections.abc import Iterator
from functools import partial

import torch

from ablations.bench import memory
from ablations.bench.report import Table
from ablations.bench.setup import Setup
from ablations.bench.step import LENGTH, VOCABULARY, losses, pairs, steps, translator
from ablations.bench.timing import Work, interleaved, once, ratio, spread
from ablations.compose import CONF
from ablations.config import RunConfig
from data.batch import BOS, EOS
from models.budget import budget
from models.decode import translate
from models.loss import Objective
from models.projections.choice import one_of
from models.transformer import Translator

BASELINE = "separate"


def strategies(setup: Setup) -> Iterator[Table]:
    """One table, the baseline first."""
    known = sorted(path.stem for path in (CONF / "projection").glob("*.yaml"))
    for name in setup.strategies:
        one_of("--strategies", name, known)
    names = list(dict.fromkeys([BASELINE, *(setup.strategies or known)]))
    precision = "bf16" if setup.device == "cuda" else "fp32"
    table = Table(
        f"Strategies in a `small` translator, {precision}",
        ["strategy", "training, tokens/s", f"times {BASELINE}", "step's memory, MB"]
        + ["greedy, tokens/s", f"times {BASELINE}", "cache a token", "promised", "cache a source token", "promised"],
    )
    built = {name: translator(setup, f"projection={name}") for name in names}
    inputs, targets = pairs(setup)
    kept = {
        name: memory.of_a_step(setup, model, partial(losses, Objective(model), inputs, targets, precision))
        for name, (_, model) in built.items()
    }
    works = {name: once(steps(config, model, inputs, targets, precision)) for name, (config, model) in built.items()}
    training = interleaved(works, setup.rounds, setup.now, setup.seconds)
    works = {name: _decoding(model, inputs["source"], inputs["source_mask"]) for name, (_, model) in built.items()}
    decoding = interleaved(works, setup.rounds, setup.now, setup.seconds)
    for name, (config, model) in built.items():
        measured, promised = cached(model, inputs["source"]), _promised(config)
        assert measured == promised, f"{name}: the cache holds {measured} numbers, the budget says {promised}"
        row = [name, f"{targets.numel() / spread(training[name]).median:,.0f}", _speed(training, name)]
        row += [f"{kept[name] / 2**20:.1f}", f"{1 / spread(decoding[name]).median:,.0f}", _speed(decoding, name)]
        table.rows.append([*row, *(str(n) for pair in zip(measured, promised, strict=True) for n in pair)])
    table.samples = {f"{name}, training": found for name, found in training.items()}
    table.samples |= {f"{name}, decoding": found for name, found in decoding.items()}
    table.notes += [
        f"random tokens, {targets.shape[0]} rows of {LENGTH}, vocabulary {VOCABULARY}; times above 1 are slower",
        "memory: what a step keeps for its backward pass beside weights; on a GPU its peak, gradients included",
        "cache: numbers that all layers remember of a token, measured, and as models/budget.py promises",
    ]
    yield table


def _speed(samples: dict[str, list[float]], name: str) -> str:
    return str(ratio(samples, name, BASELINE))


def _decoding(model: Translator, source: torch.Tensor, mask: torch.Tensor) -> Work:
    """Greedy search over the batch, twice as long as the source; a token the unit."""
    made: list[int] = []

    def run(count: int) -> None:
        model.eval()
        for _ in range(count):
            with torch.inference_mode():
                found = translate(model, source, mask, bos=BOS, eos=EOS, max_length=2 * LENGTH, beam=1)
            made.append(sum(len(ids) + 1 for ids in found))

    return Work(run, lambda count: float(sum(made[-count:])))


def cached(model: Translator, source: torch.Tensor) -> tuple[int, int]:
    """Numbers remembered of each produced token and of each source token, counted in a cache that is in use."""
    model.eval()
    mask, steps_made = torch.ones_like(source, dtype=torch.bool), 3
    with torch.inference_mode():
        states, cache = model.encode(source, mask), model.new_cache()
        for _ in range(steps_made):
            model.decode(source[:, :1], states, mask, cache)
    rows = source.shape[0]
    past, memory_of_source = (sum(part.numbers for part in parts) for parts in (cache.past, cache.source))
    return past // (rows * steps_made), memory_of_source // source.numel()


def _promised(config: RunConfig) -> tuple[int, int]:
    sizes = VOCABULARY, 2 * LENGTH, LENGTH
    promised = budget(config.model, config.sites, config.position, "translation", *sizes)
    return promised.cache_numbers_per_token, promised.cache_numbers_per_source_token
