"""AdamW as torch has it, without what takes a second to import."""

import subprocess
import sys

import torch
from torch import nn

from ablations.config import OptimConfig
from ablations.optim import optimizer


def test_the_steps_are_torchs_to_the_last_bit():
    """Weights and state, over a state that is saved and taken up half-way."""
    torch.manual_seed(0)
    config, models = OptimConfig(lr=0.1, weight_decay=0.3), [nn.Linear(3, 2), nn.Linear(3, 2)]
    models[1].load_state_dict(models[0].state_dict())
    ours = optimizer(models[0], config)
    settings = {key: ours.defaults[key] for key in ("lr", "betas", "eps")}
    torchs = torch.optim.AdamW(
        [{"params": [models[1].weight], "weight_decay": 0.3}, {"params": [models[1].bias], "weight_decay": 0.0}],
        **settings, fused=True,
    )  # fmt: skip
    for i in range(6):
        x = torch.randn(5, 3)
        for model, adamw in zip(models, (ours, torchs), strict=True):
            model(x).square().sum().backward()
            adamw.step()
            adamw.zero_grad()
        if i == 3:
            ours.load_state_dict(ours.state_dict())
    assert all(torch.equal(*pair) for pair in zip(models[0].parameters(), models[1].parameters(), strict=True))
    for mine, other in zip(ours.state_dict()["state"].values(), torchs.state_dict()["state"].values(), strict=True):
        assert mine.keys() == other.keys() and all(torch.equal(mine[key], other[key]) for key in mine)


def test_a_step_imports_no_compiler():
    program = """
import sys, torch
from ablations.config import OptimConfig
from ablations.optim import optimizer
model = torch.nn.Linear(2, 2)
adamw = optimizer(model, OptimConfig())
model(torch.ones(1, 2)).sum().backward()
adamw.step()
adamw.zero_grad()
adamw.load_state_dict(adamw.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
