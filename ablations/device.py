"""Where a run computes: device, precision, and its place among several processes (torchrun)."""

import contextlib
import os
import platform
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from ablations.config import TrainerConfig


@dataclass(frozen=True)
class Place:
    """One process of a run."""

    device: torch.device
    precision: str  # fp32 | bf16
    rank: int = 0
    world: int = 1

    def autocast(self, enabled: bool = True) -> AbstractContextManager:
        """Products in bfloat16 where that is the precision; weights stay in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled and self.precision == "bf16")

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, mine: list[Tensor]) -> list[list[Tensor]]:
        """What every process has, by rank."""
        everyone: list[list[Tensor]] = [mine] * self.world
        if self.world > 1:
            distributed.all_gather_object(everyone, mine)
        return everyone

    def agree(self, mine: Any) -> Any:
        """What the first process has; the others wait for it."""
        told = [mine]
        if self.world > 1:
            distributed.broadcast_object_list(told, src=0)
        return told[0]

    def spread(self, model: nn.Module) -> nn.Module:
        """The model as every process trains it: gradients averaged over processes."""
        if self.world == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, [self.device] if self.device.type == "cuda" else None)

    def exchange(self, spread: nn.Module, now: bool) -> AbstractContextManager:
        """Gradients are exchanged between processes in the backward pass inside, or not yet."""
        if now or not isinstance(spread, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return spread.no_sync()

    def facts(self) -> dict[str, str | int]:
        """For the record: all that changes the last bits of a result. No host name."""
        return {
            "device": self.device.type,
            "name": _name(self.device),
            "processes": self.world,
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
        }


def rank_and_world() -> tuple[int, int]:
    """Which process this is and how many train together, as torchrun tells them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def find_place(config: TrainerConfig) -> Place:
    """Chooses the device, joins the process group when torchrun started several processes, and sets the threads."""
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device=cuda, but torch finds no CUDA device here: use trainer.device=cpu or auto")
    rank, world = rank_and_world()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32
    elif config.threads is not None:
        torch.set_num_threads(config.threads)
    if world > 1 and not distributed.is_initialized():
        # Patience: the others wait while the first process scores.
        distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(hours=6))
    where = torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device("cpu")
    place = Place(where, config.precision, rank, world)
    if config.precision == "auto":  # a measurement: one process decides
        place = replace(place, precision=place.agree("bf16" if bf16_is_fast(where) else "fp32"))
    return place


def bf16_is_fast(device: torch.device) -> bool:
    """Whether bfloat16 products beat float32 by half or more: measured on a CPU, asked of a GPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return _product_seconds(torch.float32) > 1.5 * _product_seconds(torch.bfloat16)


def _product_seconds(dtype: torch.dtype) -> float:
    a = torch.ones(512, 512, dtype=dtype)
    times = []
    for _ in range(6):  # the best of six: other work on the machine only ever slows a product down
        start = time.perf_counter()
        torch.mm(a, a)
        times.append(time.perf_counter() - start)
    return min(times)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    models = [li for li in cpuinfo.read_text().splitlines() if li.startswith("model name")] if cpuinfo.exists() else []
    return models[0].split(":", 1)[1].strip() if models else platform.processor()
