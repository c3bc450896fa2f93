"""Attention written out against torch's fused kernel, and bfloat16 against float32, in whole training steps."""

from collections.abc import Callable, Iterator
from unittest import mock

from torch import Tensor
from torch.nn import functional as F

from ablations.bench.report import Table, compared
from ablations.bench.setup import Setup
from ablations.bench.step import LENGTH, ROWS, step
from ablations.bench.timing import interleaved, once
from models import attention
from models.dropout import Dropout
from models.projections.score import DotProduct


def attentions(setup: Setup) -> Iterator[Table]:
    """As it is, by definition, and by torch's kernel, in both precisions."""
    for precision in ("bf16", "fp32"):
        work = step(setup, precision)
        works = {
            "as it is": once(work),
            "written out": once(_attending(attention.attend_written_out, work)),
            "torch's fused": once(_attending(fused_attend, work)),
        }
        samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
        title = f"{precision}, training step of `small`, {ROWS} rows of {LENGTH} tokens"
        yield compared(title, samples, "as it is")


def precisions(setup: Setup) -> Iterator[Table]:
    """Both precisions, attention as it is."""
    works = {precision: once(step(setup, precision)) for precision in ("bf16", "fp32")}
    samples = interleaved(works, setup.rounds, setup.now, setup.seconds)
    yield compared(f"Training step of `small`, {ROWS} rows of {LENGTH} tokens", samples, "bf16")


def fused_attend(
    score: DotProduct,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    dropout: Dropout | None = None,
) -> Tensor:
    """What `models.attention.attend` does on a GPU."""
    p = dropout.p if dropout is not None and dropout.active else 0.0
    return F.scaled_dot_product_attention(q, k, v, mask, p, causal, scale=score.scale)


def _attending(kernel: Callable[..., Tensor], work: Callable[[], None]) -> Callable[[], None]:
    def patched() -> None:
        with mock.patch.object(attention, "attend", kernel):
            work()

    return patched
