"""How Hydra runs a sweep here: as cells that are checked beforehand, run once, and handed to a cluster."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Cells(Sweeper):
    """Takes the place of Hydra's own sweeper, which composes each run anew and knows nothing of finished ones."""

    def __init__(self, **_: Any):
        """`max_batch_size` and `params`, which every sweeper is given, are read from the composed config instead."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing of Hydra's is needed later but its own overrides, such as `hydra.sweeper.params.seed=1`."""
        self.hydra_overrides = list(config.hydra.overrides.hydra)

    def sweep(self, arguments: Sequence[str]) -> None:
        """Launches every combination of the overrides."""
        from ablations.sweep.launch import launch
        from ablations.sweep.plan import plan

        changes: dict[str, None] = {}  # the same for every seed, and said once
        cells = plan([*self.hydra_overrides, *arguments], changes.setdefault)
        print("".join(f"{change}\n" for change in changes), end="")
        launch(cells)
