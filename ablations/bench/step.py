"""Steps on random tokens, for what matters to no data: kernels, precision, storage."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ablations.bench.setup import Setup
from ablations.compose import compose
from ablations.optim import optimizer
from models.init import initialise
from models.transformer import Translator

VOCABULARY, ROWS, LENGTH = 6000, 128, 16  # a batch like Multi30k's at 2048 tokens a side


def step(setup: Setup, precision: str, *overrides: str) -> Callable[[], None]:
    """One training step of the `small` translator, the loss over all logits at once."""
    torch.manual_seed(0)
    rows, model_name = (2, "tiny") if setup.quick else (ROWS, "small")
    config = compose([f"model={model_name}", "task=multi30k_en_de", *overrides])
    model = Translator(config.model, config.sites, config.position, VOCABULARY, LENGTH)
    initialise(model, 0, config.model.init, config.model.decoder_layers)
    model.to(setup.place)
    adamw = optimizer(model, config.optim)
    tokens = torch.randint(4, VOCABULARY, (rows, LENGTH), device=setup.place)
    mask = torch.ones(rows, LENGTH, dtype=torch.bool, device=setup.place)

    def work() -> None:
        with torch.autocast(setup.device, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(tokens, mask, tokens)
        F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()).backward()
        adamw.step()
        adamw.zero_grad()

    return work
