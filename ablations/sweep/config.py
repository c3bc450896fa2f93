"""Where the cells of a sweep run, and with what."""

from dataclasses import dataclass, field
from typing import Any

from models.projections.choice import one_of

KINDS = ("local", "joblib", "slurm")
LONGEST_ARRAY = 1000  # SLURM's own limit unless a cluster raises it (MaxArraySize 1001)


@dataclass
class ClusterConfig:
    """Nothing here changes a result. A field that a kind has no use for is ignored by it."""

    name: str = "local"
    kind: str = "local"  # local: one after another | joblib: several at once on this machine | slurm: jobs of a cluster
    parallel: int | None = None  # cells at once (slurm: of one job array); none: as many as there is room for
    processes: int = 1  # processes of one cell, each with a GPU of its own where there are GPUs (DDP)
    cells_per_gpu: int = 1  # joblib: small models leave most of a GPU idle
    gpus_per_task: int = 0  # slurm: 1 or 0, for each process of a cell
    cpus_per_task: int = 1  # slurm: cores for each process of a cell
    mem_gb: float | None = None  # slurm: memory of a cell; none: what the partition gives
    partition: str | None = None  # slurm: `sinfo -s` lists them
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None  # such as "a100|h100"
    timeout_min: int = 240  # minutes a cell may run until it is stopped, saved and queued again
    signal_delay_s: int = 120  # seconds before that, and before a preemption, when the cell is told to save
    max_num_timeout: int = 20  # how often a cell is queued again for its time limit
    batch: int = 500  # cells in one job array
    precision: str | None = None  # what `trainer.precision=auto` means on the nodes: bf16 | fp32
    setup: list[str] = field(default_factory=list)  # shell lines before the cell, such as "module load cuda"
    extra: dict[str, Any] = field(default_factory=dict)  # further options of sbatch, such as {mail-user: me@my.org}
    wait: bool = False  # stay until the cells have ended, and say how

    def check(self) -> None:
        """Raise a ValueError with the reason unless cells can be launched so."""
        one_of("kind", self.kind, KINDS)
        for key in ("processes", "cells_per_gpu", "cpus_per_task", "timeout_min", "signal_delay_s", "batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        if self.parallel is not None and self.parallel < 1:
            raise ValueError(f"parallel={self.parallel} must be at least 1, or null")
        if self.max_num_timeout < 0:
            raise ValueError(f"max_num_timeout={self.max_num_timeout} must be at least 0")
        if self.mem_gb is not None and not self.mem_gb > 0:
            raise ValueError(f"mem_gb={self.mem_gb} must be above 0, or null for what the partition gives")
        if self.precision is not None:
            one_of("precision", self.precision, ("bf16", "fp32"))
        if self.kind == "slurm":
            self._check_slurm()

    def _check_slurm(self) -> None:
        if not self.partition:
            raise ValueError(
                "partition is not set: choose one that `sinfo -s` lists, as in cluster.partition=gpu, or write it into "
                "a file of your own beside conf/cluster/slurm.yaml"
            )
        if self.gpus_per_task not in (0, 1):
            raise ValueError(
                f"gpus_per_task={self.gpus_per_task}: a process takes one GPU or none, set 1 or 0; for a run on "
                "several GPUs set processes"
            )
        if self.signal_delay_s + 30 > 60 * self.timeout_min:  # SLURM looks at limits every 30 seconds
            raise ValueError(
                f"signal_delay_s={self.signal_delay_s} leaves nothing of timeout_min={self.timeout_min} to train in: "
                "make one shorter or the other longer"
            )
        if self.batch > LONGEST_ARRAY:
            raise ValueError(f"batch={self.batch} is more than a job array takes: set it to {LONGEST_ARRAY} or less")
