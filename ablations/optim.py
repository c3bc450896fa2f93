"""AdamW, which weights decay, and the learning rate at every step."""

import inspect
import math

import torch
from torch import nn

from ablations.config import OptimConfig


class AdamW(torch.optim.AdamW):
    """Torch's own, without wrappers that keep its methods out of compiled graphs and import torch._dynamo for it.

    That takes as long as importing torch; here an optimizer stands in no graph. Torch's hooks of optimizers are lost.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def optimizer(model: nn.Module, config: OptimConfig) -> AdamW:
    """Fused AdamW; weight decay on matrices only (embeddings included), never on biases, norms and diagonals."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """The rate of step 1, 2, ... `steps`: linear warm-up to the peak, then the schedule.

    cosine falls to `final_lr` x peak at the last step; inverse_sqrt is peak x sqrt(warmup / step) (Vaswani 2017).
    """
    if step < config.warmup:
        return config.lr * step / config.warmup
    if config.schedule == "inverse_sqrt":
        return config.lr * math.sqrt(max(config.warmup, 1) / step)
    if config.schedule == "cosine":
        done = (step - config.warmup) / max(steps - config.warmup, 1)
        return config.lr * (config.final_lr + (1 - config.final_lr) * (1 + math.cos(math.pi * done)) / 2)
    return config.lr
