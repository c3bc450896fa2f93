"""Where a run computes: device, precision, and its place among several processes (torchrun)."""

import contextlib
import os
import platform
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

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


def find_place(config: TrainerConfig) -> Place:
    """Chooses the device, joins the process group when torchrun started several processes, and sets the threads."""
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device=cuda, but torch finds no CUDA device here: use trainer.device=cpu or auto")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32
    elif config.threads is not None:
        torch.set_num_threads(config.threads)
    if world > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    where = torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device("cpu")
    precision = config.precision if config.precision != "auto" else ("bf16" if bf16_is_fast(where) else "fp32")
    return Place(where, precision, rank, world)


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
        a @ a
        times.append(time.perf_counter() - start)
    return min(times)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    models = [li for li in cpuinfo.read_text().splitlines() if li.startswith("model name")] if cpuinfo.exists() else []
    return models[0].split(":", 1)[1].strip() if models else platform.processor()
