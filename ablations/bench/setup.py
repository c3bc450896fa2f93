"""What a benchmark is told: where it computes, how often it repeats, and where it finds what it needs."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ablations.bench.timing import clock


@dataclass(frozen=True)
class Setup:
    """The command line of scripts/bench.py, for one benchmark."""

    device: str = "cpu"  # cpu | cuda
    rounds: int = 7
    quick: bool = False  # tiny sizes, to see that it runs: the times mean nothing
    corpora: str | None = None  # a local pool of corpora; none: the hub
    cache: str = "data/cache"
    results: str = "results"
    nanogpt: str | None = None  # a clone of karpathy/nanoGPT
    joeynmt: str | None = None  # a clone of joeynmt/joeynmt
    run: str | None = None  # record of a trained translator, its weights beside it
    sentences: int | None = None  # of the test set, evenly spaced; none: all
    strategies: list[str] = field(default_factory=list)  # of conf/projection; none: all
    peak: float | None = None  # of the device, in 10^12 floating point operations a second
    cells: int = 2000  # of a sweep

    @property
    def place(self) -> torch.device:
        """Where tensors go. Raises ValueError without a GPU that was asked for."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda, but torch finds no CUDA device here: leave it out for the CPU")
        return torch.device(self.device)

    @property
    def now(self) -> Callable[[], float]:
        """The clock of the device."""
        return clock(self.place)

    @property
    def seconds(self) -> float:
        """What a sample should take at least."""
        return 0.001 if self.quick else 0.4

    def folder(self) -> Path:
        """Where reports go; quick ones, which say nothing, where git does not look."""
        return Path(self.results) / ("work/bench" if self.quick else "bench")


def machine(device: torch.device) -> dict[str, str | int]:
    """What the times depend on. No host name."""
    from ablations.config import TrainerConfig
    from ablations.device import find_place

    place = find_place(TrainerConfig(device=device.type, threads=torch.get_num_threads()))
    return {**place.facts(), "system": f"{platform.system()} {platform.machine()}"}
