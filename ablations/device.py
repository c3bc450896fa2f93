"""Where a run computes: device, precision, and its place among several processes (torchrun)."""

import contextlib
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from ablations.config import TrainerConfig
from ablations.precision import faster_precision


@dataclass(frozen=True)
class Place:
    """One process of a run."""

    device: torch.device
    precision: str  # fp32 | bf16
    rank: int = 0
    world: int = 1

    def autocast(self) -> AbstractContextManager:
        """Products in bfloat16 where that is the precision; weights stay in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def all_reduce(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def all_gather(self, mine: list[Tensor]) -> list[list[Tensor]]:
        """What every process has, by rank."""
        everyone: list[list[Tensor]] = [mine] * self.world
        if self.world > 1:
            distributed.all_gather_object(everyone, mine)
        return everyone

    def broadcast(self, mine: Any) -> Any:
        """What the first process has; the others wait for it."""
        told = [mine]
        if self.world > 1:
            distributed.broadcast_object_list(told, src=0)
        return told[0]

    def first(self, look: Callable[[], Any]) -> Any:
        """What the first process finds, for all of them; a ValueError that it meets is raised by all."""
        found = None
        if self.rank == 0:
            try:
                found = look()
            except ValueError as error:
                found = error
        found = self.broadcast(found)
        if isinstance(found, ValueError):
            raise found
        return found

    def end(self, mine: Any) -> Any:
        """The end of a run: what the first process has. The program may end now."""
        told = self.broadcast(mine)
        if self.world > 1 and self.device.type == "cpu":
            # A thread of gloo that lets go of a tensor while the interpreter ends aborts the process, and a run that is
            # on record looks broken (pytorch issue 190489; destroying the group joins no thread that DDP has used).
            time.sleep(0.5)
        return told

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """The model as every process trains it: gradients averaged over processes."""
        if self.world == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, [self.device] if self.device.type == "cuda" else None)

    def gradient_sync(self, model: nn.Module, now: bool) -> AbstractContextManager:
        """Gradients are averaged over processes in the backward pass inside, or not yet."""
        if now or not isinstance(model, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return model.no_sync()

    def now(self, wait: bool) -> float:
        """The time, in seconds; where we `wait`, when the device has done what it was given so far."""
        if wait and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

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
    device = _device(config)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32
    _set_threads(config)
    if world > 1 and not distributed.is_initialized():
        # Patience: the others wait while the first process scores.
        distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(hours=6))
    where = torch.device(device, torch.cuda.current_device()) if device == "cuda" else torch.device("cpu")
    place = Place(where, config.precision, rank, world)
    # Processes that measured for themselves might not agree.
    return replace(place, precision=place.broadcast(settled_precision(config) if rank == 0 else None))


def settled_precision(config: TrainerConfig) -> str:
    """The precision that is asked for; `auto` is the faster one of the device with this number of threads."""
    if config.precision != "auto":
        return config.precision
    _set_threads(config)
    device = torch.device(_device(config))
    return faster_precision(device, _name(device)) if has_bf16_units(device) else "fp32"


def _set_threads(config: TrainerConfig) -> None:
    if config.threads is not None and _device(config) == "cpu":
        torch.set_num_threads(config.threads)


def _device(config: TrainerConfig) -> str:
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device=cuda, but torch finds no CUDA device here: use trainer.device=cpu or auto")
    return config.device


def has_bf16_units(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; that they are the faster ones is not said."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_cpuinfo("flags", "Features").split())


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpuinfo("model name") or platform.processor()


def _cpuinfo(*names: str) -> str:
    """What Linux says of the first processor under the first of these names it knows; elsewhere nothing."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return next((said[name] for name in names if name in said), "")
