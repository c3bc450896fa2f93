"""Which precision is the fast one on a device, measured once for a kind of machine and kept in `data/cache/`."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ablations.files import write_text

KEPT = Path(__file__).resolve().parent.parent / "data" / "cache" / "precision.json"
WORTH = 1.2  # bfloat16 has fewer digits: it must be faster by this much
ROUNDS = 5


def faster_precision(device: torch.device, name: str, kept: Path = KEPT) -> str:
    """bf16 or fp32: what multiplies matrices of a small model faster on this device, forwards and backwards.

    `name` is the device's own. Processors that list bfloat16 among their instructions may be slower with it: only
    those with matrix units gain (`python scripts/bench.py precision` times a whole step). The answer is kept by
    device, number of threads and version of torch, since a busy machine might answer another way the next time.
    """
    threads = f"{torch.get_num_threads()} threads, " if device.type == "cpu" else ""
    key = f"{name}, {threads}torch {torch.__version__}"
    known = _read(kept)
    if key not in known:
        ratio = _times_faster(device)
        known[key] = {"bf16_times_faster": round(ratio, 2), "precision": "bf16" if ratio >= WORTH else "fp32"}
        try:
            write_text(kept, json.dumps({**_read(kept), key: known[key]}, indent=1) + "\n")
        except OSError as error:
            print(f"precision={known[key]['precision']}, measured, and not kept in {kept} ({error}): set it yourself")
    return known[key]["precision"]


def _read(kept: Path) -> dict[str, dict]:
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: measured anew
        return {}
    return {key: said for key, said in known.items() if isinstance(said, dict) and said.get("precision")}


def _times_faster(device: torch.device) -> float:
    """Seconds in float32 over seconds in bfloat16, the median of neighbouring pairs."""
    size = (512, 256) if device.type == "cpu" else (8192, 2048)
    products = [_products(device, size, dtype) for dtype in (torch.float32, torch.bfloat16)]
    pairs = [[_seconds(product, device) for product in products] for _ in range(ROUNDS + 1)][1:]
    return statistics.median(single / half for single, half in pairs)


def _products(device: torch.device, size: tuple[int, int], dtype: torch.dtype) -> Callable[[], Tensor]:
    rows, width = size
    x = torch.ones(rows, width, device=device, dtype=dtype)  # nothing is drawn: random streams stay where they are
    weight = torch.ones(4 * width, width, device=device, dtype=dtype)

    def forwards_and_backwards() -> Tensor:
        y = x @ weight.mT
        return (y @ weight).sum() + (y.mT @ x).sum()

    return forwards_and_backwards


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work().item()  # waits for the device
    return time.perf_counter() - start
