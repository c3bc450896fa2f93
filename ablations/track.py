"""Where the numbers of a run go while it runs: a JSONL file always, Weights & Biases beside it if asked."""

import contextlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ablations.files import write_text

if TYPE_CHECKING:  # the schema knows Hydra and torch, this file neither
    from ablations.config import TrackingConfig

FILE = "metrics.jsonl"
TIMEOUT = 5.0  # seconds to reach W&B; its own 90 would hold up training on a machine without a network


class Tracker:
    """One JSON line per logged step in `<folder>/metrics.jsonl`, the same numbers to a W&B run if there is one.

    The file is the truth and W&B its mirror: whatever happens to W&B is said once and never stops training.
    """

    def __init__(self, file: Path, resume_step: int = 0, mirror: Any = None):
        _cut(file, resume_step)
        self._file = file.open("a", encoding="utf-8", newline="\n")
        self._mirror = mirror

    def log(self, step: int, numbers: dict[str, float | None]) -> None:
        """Log numbers of one step; what is not finite becomes null (W&B leaves it out).

        Log a step before its checkpoint is written: a run resumed there expects its line.
        """
        plain = {name: value if value is None or math.isfinite(value) else None for name, value in numbers.items()}
        self._file.write(json.dumps({"step": step, **plain}) + "\n")
        self._file.flush()
        # W&B's own step too: a resumed run that repeats steps W&B has already seen is then not counted twice.
        known = {"step": step, **{name: value for name, value in plain.items() if value is not None}}
        self._to_mirror(lambda run: run.log(known, step=step))

    def summary(self, numbers: dict[str, float | None]) -> None:
        """Final scores, for the columns of W&B's run table; the record holds them otherwise."""
        self._to_mirror(lambda run: run.summary.update(numbers))

    def samples(self, rows: list[dict[str, str]]) -> None:
        """A table of sample translations in W&B: one row each, the keys of the first are the columns."""
        if not rows:
            return

        def send(run: Any) -> None:
            import wandb

            columns: list[Any] = list(rows[0])
            run.log({"samples": wandb.Table(columns=columns, data=[[row[name] for name in columns] for row in rows])})

        self._to_mirror(send)

    def _to_mirror(self, send: Any) -> None:
        if self._mirror is None:
            return
        try:
            send(self._mirror)
        except Exception as error:  # any fault: it is a mirror
            self._mirror = None
            _warn(f"W&B failed ({_first_line(error)}): it gets no more numbers of this run, {FILE} has them all")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._file.close()
        self._to_mirror(lambda run: run.finish(exit_code=0 if kind is None else 1))


def open_tracker(
    tracking: "TrackingConfig",
    *,
    folder: str | Path,
    signature: str,
    study: str,
    task: str,
    tags: list[str],
    config: dict[str, Any],
    resume_step: int = 0,
) -> Tracker:
    """The tracker of one run, to be used in a `with` statement.

    `folder` is the run's work folder; `resume_step` the last step of the checkpoint the run goes on from, 0 for a new
    run: later lines of an interrupted attempt are cut off. W&B knows the run by its signature, in the group of its
    study; online without a key or a network becomes offline, with one warning. Raises ValueError for an unknown name.
    """
    if tracking.name not in ("none", "wandb", "wandb_offline"):
        raise ValueError(f"tracking.name={tracking.name!r} is unknown: choose none, wandb or wandb_offline")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mirror = None
    if tracking.name != "none":
        mirror = _start_wandb(
            tracking.name == "wandb",
            project=tracking.project,
            entity=tracking.entity,
            dir=str(folder),
            id=signature,
            name="-".join([task, *tags, f"s{config['seed']}"]),
            group=study,
            job_type=task,
            tags=tags,
            config={key: value for key, value in config.items() if key != "paths"},
            resume="allow",
        )
    return Tracker(folder / FILE, resume_step, mirror)


def _start_wandb(online: bool, **identity: Any) -> Any:
    try:
        import wandb
    except ImportError:
        _warn(f"wandb is not installed: numbers go to {FILE} only")
        return None

    def start(mode: Literal["online", "offline"]) -> Any:
        # The transaction log is flushed each second: the default of 15 loses everything of a run killed early.
        # Console capture is off: it would fight with the progress bar.
        settings = wandb.Settings(
            init_timeout=TIMEOUT,
            finish_timeout=60,  # a network lost on the way must not keep a finished run waiting; the file stays
            x_transaction_log_flush_interval=1,
            console="off",
            silent=True,
            x_disable_meta=True,  # host name, user, program path
        )
        run = wandb.init(mode=mode, settings=settings, reinit="finish_previous", **identity)
        run.define_metric("step")
        run.define_metric("*", step_metric="step")
        return run

    if online:
        try:
            wandb.setup(settings=wandb.Settings(silent=True))  # else login asks the server for a name to greet
            if not wandb.login(prompt=False, verify=False):  # asked for, a key would hold up a job nobody watches
                raise RuntimeError("no API key; type `wandb login` once")
            return start("online")
        except Exception as error:  # no key, no network, no server: all the same here
            _warn(f"W&B cannot be reached ({_first_line(error)}): logging offline, `wandb sync` sends it later")
            with contextlib.suppress(Exception):
                wandb.teardown()  # a start that timed out still holds the run's id
    try:
        return start("offline")
    except Exception as error:
        _warn(f"W&B cannot start ({_first_line(error)}): numbers go to {FILE} only")
        return None


def _cut(file: Path, step: int) -> None:
    """Keep the lines up to a step, nothing for step 0; a last line that a kill cut short goes too."""
    if not file.exists():
        return
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if step else []:
        with contextlib.suppress(ValueError):
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
    write_text(file, "".join(kept))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)
