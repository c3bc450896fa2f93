"""Steps on random tokens, for what matters to no data: kernels, precision, storage, strategies."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ablations.bench.setup import Setup
from ablations.compose import compose
from ablations.config import RunConfig
from ablations.optim import optimizer
from models.init import initialise
from models.loss import Objective
from models.transformer import LanguageModel, Translator

QUICK = ["model.d_model=32", "model.d_ff=32", "model.encoder_layers=1", "model.decoder_layers=1"]
VOCABULARY, ROWS, LENGTH = 6000, 128, 16  # a batch like Multi30k's at 2048 tokens a side


def translator(setup: Setup, *overrides: str) -> tuple[RunConfig, Translator]:
    """The `small` translator with its initial weights."""
    torch.manual_seed(0)
    config = compose(["model=small", "task=multi30k_en_de", *(QUICK if setup.quick else []), *overrides])
    model = Translator(config.model, config.sites, config.position, VOCABULARY, 2 * LENGTH)
    initialise(model, 0, config.model.init, config.model.decoder_layers)
    return config, model.to(setup.place)


def pairs(setup: Setup) -> tuple[dict[str, Tensor], Tensor]:
    """A batch of random sentences without padding: inputs and targets."""
    tokens = torch.randint(4, VOCABULARY, (2 if setup.quick else ROWS, LENGTH), device=setup.place)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    return {"source": tokens, "source_mask": mask, "target": tokens}, tokens


def step(setup: Setup, precision: str, *overrides: str) -> Callable[[], None]:
    """One training step of the `small` translator."""
    config, model = translator(setup, *overrides)
    return steps(config, model, *pairs(setup), precision)


def steps(
    config: RunConfig, model: LanguageModel | Translator, inputs: dict[str, Tensor], targets: Tensor, precision: str
) -> Callable[[], None]:
    """Forward and backward pass and optimizer, always on the same batch."""
    adamw = optimizer(model, config.optim)
    loss = partial(losses, Objective(model), inputs, targets, precision)

    def work() -> None:
        loss().backward()
        adamw.step()
        adamw.zero_grad()

    return work


def losses(objective: nn.Module, inputs: Any, targets: Tensor, precision: str) -> Tensor:
    """The mean loss of a batch."""
    with torch.autocast(targets.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return objective(inputs, targets)[1] / targets.numel()
