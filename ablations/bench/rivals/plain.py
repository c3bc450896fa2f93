"""Models of other libraries in the loop that everybody writes: our batches, float32, one loss over all logits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.bench.timing import Work
from ablations.config import RunConfig
from ablations.device import find_place
from data.batch import IGNORE, Batch
from data.loader import Loader
from data.prepared import Prepared

Logits = Callable[[Batch], Tensor]  # [B, L, V]


def training(model: nn.Module, logits: Logits, config: RunConfig, prepared: Prepared) -> Work:
    """Steps with torch's AdamW as it comes, weight decay on matrices only, gradients clipped as ours.

    Units are real targets.
    """
    device = find_place(config.trainer).device
    model.to(device).train()
    loader = Loader(prepared, config.trainer.batch_tokens, config.task.context, config.seed)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.optim.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=config.optim.lr, betas=config.optim.betas, eps=config.optim.eps)
    targets: list[int] = []

    def steps(count: int) -> None:
        for _ in range(count):
            batch = next(loader).to(device)
            targets.append(batch.tokens)
            flat = logits(batch).flatten(0, 1), batch.targets.flatten()
            F.cross_entropy(*flat, ignore_index=IGNORE, label_smoothing=config.optim.label_smoothing).backward()
            if config.optim.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
            adamw.step()
            adamw.zero_grad()

    return Work(steps, lambda count: float(sum(targets[-count:])))
