"""The weights of several runs and AdamW's memory of them, a row for each run.

N runs, P numbers. What is done run by run (gradient norms, clipping, AdamW) is a handful of operations, whatever the
number of matrices.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablations.config import OptimConfig
from ablations.optim import AdamW, optimizer


@dataclass
class Group:
    """Parameters that decay alike, in the order of a row; values, their gradient and moments [N, P]."""

    names: list[str]
    shapes: list[torch.Size]
    values: Tensor
    first: Tensor
    second: Tensor
    gradient: Tensor | None = None

    def parts(self, rows: Tensor) -> list[Tensor]:
        """Each parameter's share [..., *shape] of rows [..., P]."""
        flat = rows.split([shape.numel() for shape in self.shapes], -1)
        return [part.unflatten(-1, shape) for part, shape in zip(flat, self.shapes, strict=True)]


class Rows:
    """Weights that start as those of the models given, and an AdamW for each row that steps as the run's own would."""

    def __init__(self, models: Sequence[nn.Module], configs: Sequence[OptimConfig]):
        self.configs, self.steps, self.rates = list(configs), 0.0, [config.lr for config in configs]
        own = [optimizer(model, config) for model, config in zip(models, configs, strict=True)]
        self.settings = [alone.state_dict()["param_groups"] for alone in own]
        names = {parameter: name for name, parameter in models[0].named_parameters()}
        self.groups = []
        for same in zip(*(alone.param_groups for alone in own), strict=True):
            ours = same[0]["params"]
            rows = [torch.cat([p.detach().flatten() for p in group["params"]]) for group in same]
            values = torch.stack(rows)
            moments = torch.zeros_like(values), torch.zeros_like(values)
            group = Group([names[p] for p in ours], [p.shape for p in ours], values, *moments)
            self.groups.append(group)
        self._connect()

    def values(self) -> list[Tensor]:
        """The rows of each group [N, P]."""
        return [group.values.detach() for group in self.groups]

    def weights(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        """Every parameter as [N, *shape], cut from rows as `values` gives them."""
        cut = [
            zip(group.names, group.parts(rows), strict=True) for group, rows in zip(self.groups, values, strict=True)
        ]
        return dict(pair for parts in cut for pair in parts)

    def add_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Those of one more micro-batch."""
        for group, gradient in zip(self.groups, gradients, strict=True):
            group.gradient = gradient if group.gradient is None else group.gradient + gradient

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> Tensor:
        """Clips each run's gradient and makes its step; the norms [N] before clipping."""
        gradients = [group.gradient for group in self.groups if group.gradient is not None]
        norms = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients]).norm(dim=0)
        if self._clips is not None:
            factors = (self._clips / (norms + 1e-6)).clamp(max=1.0)[:, None]
            for gradient in gradients:
                gradient *= factors
        for group, rows in zip(self.groups, self._rows, strict=True):
            assert group.gradient is not None
            for row, gradient in zip(rows, group.gradient.unbind(), strict=True):
                row.grad = gradient
            group.gradient = None
        for settings, run in self._groups_of:
            settings["lr"] = rates[run]
        self.rates = list(rates)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.steps += 1
        return norms

    @torch.no_grad()
    def write_back(self, run: int, model: nn.Module) -> None:
        """Gives a model the weights of a run."""
        parameters = dict(model.named_parameters())
        for group in self.groups:
            for name, value in zip(group.names, group.parts(group.values[run]), strict=True):
                parameters[name].copy_(value)

    def state(self, run: int) -> dict[str, Any]:
        """AdamW's as the run alone would save it."""
        moments: list[dict[str, Tensor]] = []
        for group in self.groups:
            for first, second in zip(group.parts(group.first[run]), group.parts(group.second[run]), strict=True):
                step = torch.tensor(self.steps, device=first.device)
                moments.append({"step": step, "exp_avg": first.clone(), "exp_avg_sq": second.clone()})
        groups = [{**settings, "lr": self.rates[run]} for settings in self.settings[run]]
        return {"state": dict(enumerate(moments)), "param_groups": groups}

    @torch.no_grad()
    def resume(self, run: int, saved: dict[str, Any]) -> None:
        """Takes up AdamW's memory from the state of a run alone or in a stack."""
        self.steps, self.rates[run] = float(saved["state"][0]["step"]), saved["param_groups"][0]["lr"]
        moments = iter(saved["state"].values())
        for group in self.groups:
            for first, second in zip(group.parts(group.first[run]), group.parts(group.second[run]), strict=True):
                moment = next(moments)
                first.copy_(moment["exp_avg"])
                second.copy_(moment["exp_avg_sq"])
        self._connect()

    @torch.no_grad()
    def leave(self, run: int) -> None:
        """Takes out a run; those after it move up."""
        del self.configs[run], self.settings[run], self.rates[run]
        kept = [i for i in range(len(self.groups[0].values)) if i != run]
        for group in self.groups:
            group.first, group.second = group.first[kept], group.second[kept]
            group.values = group.values[kept]
        if kept:
            self._connect()

    def _connect(self) -> None:
        """One AdamW over all rows; those with the same settings are stepped together."""
        alike: dict[str, list[int]] = {}
        for run, config in enumerate(self.configs):
            alike.setdefault(repr(config), []).append(run)
        self._rows = [list(group.values.unbind()) for group in self.groups]
        places = [(i, runs) for i in range(len(self.groups)) for runs in alike.values()]
        self._optimizer = AdamW(
            [{**self.settings[runs[0]][i], "params": [self._rows[i][run] for run in runs]} for i, runs in places],
            fused=True,
        )
        self._groups_of = [
            (settings, runs[0]) for settings, (_, runs) in zip(self._optimizer.param_groups, places, strict=True)
        ]
        for group, rows in zip(self.groups, self._rows, strict=True):
            for row, first, second in zip(rows, group.first, group.second, strict=True):
                step = torch.tensor(self.steps, device=row.device)
                self._optimizer.state[row] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
        clips = [math.inf if config.clip is None else config.clip for config in self.configs]
        device = self.groups[0].values.device
        self._clips = torch.tensor(clips, device=device) if min(clips) < math.inf else None
