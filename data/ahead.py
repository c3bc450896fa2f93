"""Batches made before they are asked for, so that a GPU does not wait for them."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from data.batch import Batch
from data.loader import Loader


@dataclass(frozen=True)
class _Made:
    batches: list[Batch]
    state: dict[str, Any]  # of the loader behind them
    epochs: float


class Ahead:
    """What a loader gives, one `take` ahead of who takes, in page-locked memory where `pinned`.

    A GPU copies from such memory while it computes. `state_dict` and `epochs` are those of the batches that were given
    last, whatever is made already; every `take` asks for as many batches as the first.
    """

    def __init__(self, loader: Loader, pinned: bool):
        self._loader, self._pinned = loader, pinned
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._given = _Made([], loader.state_dict(), loader.epochs)
        self._coming: Future[_Made] | None = None

    def take(self, count: int) -> list[Batch]:
        """This process's share of the run's next `count` batches."""
        coming = self._coming or self._maker.submit(self._make, count)
        self._given = coming.result()
        self._coming = self._maker.submit(self._make, count)
        return self._given.batches

    def apart(self) -> Loader:
        """As `Loader` does."""
        loader = self._loader.apart()
        loader.load_state_dict(self._given.state)
        return loader

    @property
    def epochs(self) -> float:
        """Passes over the training text so far."""
        return self._given.epochs

    def state_dict(self) -> dict[str, Any]:
        """As `Loader` gives it."""
        return self._given.state

    def _make(self, count: int) -> _Made:
        batches = self._loader.take(count)
        if self._pinned:
            batches = [batch.pinned() for batch in batches]
        return _Made(batches, self._loader.state_dict(), self._loader.epochs)
