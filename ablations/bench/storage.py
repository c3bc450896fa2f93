"""One matrix per head or per role against one big one, and the width of a key: what claims C19 and C26 read."""

from collections.abc import Callable, Iterator

import torch

from ablations.bench.report import Table, compared
from ablations.bench.setup import Setup
from ablations.bench.step import step
from ablations.bench.timing import interleaved, once


def storages(setup: Setup) -> Iterator[Table]:
    """A training step by storage, in float32."""
    kinds = ("fused", "per_role", "per_head")
    works = {kind: once(step(setup, "fp32", f"projection.storage={kind}")) for kind in kinds}
    samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
    yield compared("Training step of `small` by storage, fp32", samples, "fused")


def key_widths(setup: Setup) -> Iterator[Table]:
    """20 products q k^T of 32 x 4 heads and 128 positions, by the width of a key, in float32."""

    def product(width: int) -> Callable[[], None]:
        q, k = torch.randn(2, 32, 4, 128, width, device=setup.place)

        def products() -> None:
            for _ in range(20):
                torch.matmul(q, k.mT)

        return products

    works = {f"d_k={width}": once(product(width)) for width in (16, 32, 64)}
    samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
    yield compared("20 products q k^T, 32 x 4 heads, 128 positions, fp32", samples, "d_k=16")
