"""nanoGPT as it ships: its own train.py runs whole, from a clone, and stands still behind every step that it prints.

https://github.com/karpathy/nanoGPT (MIT). Its loader, loss, clipping, schedule and optimizer are its own.
"""

import contextlib
import io
import os
import pickle
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ablations.bench.loop import Loop
from ablations.config import RunConfig
from data.prepared import Prepared


def training(clone: str, config: RunConfig, prepared: Prepared, folder: Path, compiled: bool) -> tuple[Loop, int]:
    """`python train.py` of the clone with the sizes of our run, on our tokens, and how many parameters it trains.

    Its README's line for a CPU: float32, no compilation, dropout as ours, a line printed at every step.
    Raises ValueError where `clone` is no clone of it.
    """
    script = Path(clone).expanduser().resolve() / "train.py"
    if not script.exists() or not (script.parent / "configurator.py").exists():
        raise ValueError(
            f"{clone} is no clone of nanoGPT: git clone https://github.com/karpathy/nanoGPT, and name that"
        )
    _write_tokens(folder, prepared)
    model, rows = config.model, config.trainer.batch_tokens // config.task.context
    settings: dict[str, Any] = {
        "device": config.trainer.device,
        "compile": compiled,
        "dataset": str(folder.resolve()),  # joined to "data/", of which an absolute path leaves nothing
        "out_dir": str(folder.resolve() / "out"),
        "block_size": config.task.context,
        "batch_size": rows,
        "gradient_accumulation_steps": 1,
        "n_layer": model.decoder_layers,
        "n_head": model.heads,
        "n_embd": model.d_model,
        "dropout": model.dropout,
        "learning_rate": config.optim.lr,
        "min_lr": config.optim.lr * config.optim.final_lr,
        "beta2": config.optim.betas[1],
        "weight_decay": config.optim.weight_decay,
        "grad_clip": config.optim.clip or 0.0,
        "warmup_iters": config.optim.warmup,
        "max_iters": 10**9,
        "lr_decay_iters": 10**9,
        "eval_interval": 10**9,
        "eval_iters": 1,
        "log_interval": 1,
    }
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    parameters = 0

    def body(between: Callable[[], bool]) -> None:
        called = contextlib.ExitStack()

        def told(*words: object, **_: object) -> None:
            """Stands where train.py calls print."""
            nonlocal parameters
            if not str(words[0]).startswith("iter "):
                return
            if not parameters:  # its first step: it has read its arguments
                called.close()
                parameters = sum(p.numel() for p in sys._getframe(1).f_globals["model"].parameters())
            if between():
                raise SystemExit

        with contextlib.suppress(SystemExit), called:
            called.enter_context(_as_called(script, arguments))
            runpy.run_path(str(script), init_globals={"print": told})

    loop = Loop(body)
    loop.steps(1)
    return loop, parameters


@contextlib.contextmanager
def _as_called(script: Path, arguments: list[str]) -> Iterator[None]:
    """The process as the script expects to find it; it imports and reads files by relative names, and sets flags."""
    before = sys.argv, sys.path.copy(), Path.cwd(), torch.backends.cuda.matmul.allow_tf32
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is written for an older torch
            yield
    finally:
        sys.argv, sys.path[:] = before[:2]
        os.chdir(before[2])
        torch.backends.cuda.matmul.allow_tf32 = before[3]
        sys.modules.pop("model", None)


def _write_tokens(folder: Path, prepared: Prepared) -> None:
    """Our tokens where its loader looks for tokens."""
    for split, file in (("train", "train.bin"), ("valid", "val.bin")):
        np.asarray(prepared.stream(split)).astype(np.uint16).tofile(folder / file)
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": prepared.tokenizer.size}))
