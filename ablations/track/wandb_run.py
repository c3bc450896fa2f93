"""Weights & Biases as the mirror of a run, online or in files that `wandb sync` sends later."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ablations.config import TrackingConfig
from ablations.track.outcome import Outcome, public, tags, title
from ablations.track.tracker import FILE, Line, first_line, warn

TIMEOUT = 3.0  # seconds to reach W&B; its own 90 would hold up training on a machine without a network
# Seconds to send at the end what still waits: a network lost on the way must not keep a finished run; the file stays.
FINISH = 60
# Metric -> its x axis, and what the run's summary keeps of it.
METRICS = {
    "step": (None, "max"),
    "loss": ("step", "last,min"),
    "valid_nll": ("step", "last,min"),
    "lr": ("step", "last"),
    "grad_norm": ("step", "last,max"),
    "tokens_per_second": ("step", "last"),
    "observed/*": ("observed/step", None),
}


class WandbRun:
    """One run of W&B's. Steps before `first` are there from an earlier attempt and are not sent again."""

    name = "W&B"

    def __init__(self, run: Any, first: int):
        self._run, self._first, self._next = run, first, first
        for metric, (axis, summary) in METRICS.items():
            run.define_metric(metric, step_metric=axis, summary=summary)

    def log(self, line: Line) -> None:
        """Under W&B's own step too, which takes no step twice."""
        if line["step"] >= self._first:
            with _buried():
                self._run.log(line, step=line["step"])
            self._next = line["step"] + 1

    def show(self, outcome: Outcome) -> None:
        """Scores in the summary, analyses over their own steps, translations as a table, maps as pictures."""
        import wandb

        for row, (step, measured) in enumerate(outcome.observed.items(), self._next):
            named = {f"observed/{name}": value for name, value in measured.items()}
            self._run.log({"observed/step": step, **named}, step=row)
        shown: dict[str, Any] = {f"attention/{site}": wandb.Image(picture) for site, picture in outcome.maps.items()}
        if outcome.samples:
            columns: list[Any] = list(outcome.samples[0])
            rows: list[Any] = [[row[name] for name in columns] for row in outcome.samples]
            shown["samples"] = wandb.Table(columns=columns, data=rows)
        if shown:
            self._run.log(shown, step=self._next + len(outcome.observed))
        self._run.summary.update(outcome.numbers)

    def close(self, failed: bool) -> None:
        """Waits for what is still to send, a minute at most; the rest stays in the run's folder."""
        with _buried():
            self._run.finish(exit_code=int(failed))


@contextlib.contextmanager
def _buried() -> Iterator[None]:
    """Where W&B's own process has died, what it would find out when ours exits, with a traceback, is done at once."""
    try:
        yield
    except Exception as error:
        import wandb

        if isinstance(error, ConnectionError) or type(error).__name__ == "HandleAbandonedError":
            with contextlib.suppress(Exception):
                wandb.teardown()
        raise


def start(tracking: TrackingConfig, record: dict[str, Any], folder: Path, last: int) -> WandbRun | None:
    """The W&B run of a record, known by its signature: asked again, it goes on with the same one.

    `last` is the last step that earlier attempts logged. Without a key, a network or an answer within TIMEOUT seconds
    `tracking.name=wandb` becomes offline, with one warning. None, with a warning, where W&B cannot start at all.
    """
    _settle(folder.parent / "wandb")
    try:
        import wandb
    except ImportError:
        warn(f"wandb is not installed: numbers go to {FILE} only")
        return None
    identity = {
        "project": tracking.project,
        "entity": tracking.entity,
        "dir": str(folder),
        "id": record["signature"],
        "name": title(record),
        "group": record["study"],
        "job_type": record["task"],
        "tags": tags(record),
        "config": public(record),
        "resume": "allow",
    }
    sent = _tidy(folder, record["signature"])
    if tracking.name == "wandb":
        try:
            require_key()
            run = _init("online", identity)
            return WandbRun(run, run.step if run.resumed else 0)
        except Exception as error:  # no key, no network, no server, a slow one: all the same here
            warn(f"W&B cannot be reached ({first_line(error)}): logging offline, `wandb sync` sends it later")
            with contextlib.suppress(Exception):
                wandb.teardown()  # a start that timed out still holds the run's id
    try:
        return WandbRun(_init("offline", identity), last + 1 if sent else 0)
    except Exception as error:
        warn(f"W&B cannot start ({first_line(error)}): numbers go to {FILE} only")
        return None


def _settle(shared: Path) -> None:
    """What W&B reads from the environment, unless the user has said otherwise. Tables wait in `shared` to be sent."""
    os.environ.setdefault("WANDB_DATA_DIR", str(shared.resolve()))  # else in the home folder
    os.environ.setdefault("WANDB_SILENT", "true")
    # Reports of its own faults to its makers: without a network they hold up every end by two seconds and more.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def require_key() -> None:
    """Raise a RuntimeError where no key of W&B's is known. Nothing is sent: a key is believed."""
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))  # else login asks the server for a name to greet
    if not wandb.login(prompt=False, verify=False):  # asked for, a key would hold up a job nobody watches
        raise RuntimeError("no API key; type `wandb login` once")


def _init(mode: Literal["online", "offline"], identity: dict[str, Any]) -> Any:
    import wandb

    # The transaction log is flushed each second: the default of 15 loses everything of a run killed early.
    # Console capture is off: it would fight with the progress bar.
    settings = wandb.Settings(
        init_timeout=TIMEOUT,
        finish_timeout=FINISH,
        x_transaction_log_flush_interval=1,
        console="off",
        silent=True,
        x_disable_meta=True,  # host name, user, program path
        host="",
        disable_git=True,  # the address of a remote may hold a password; the config has the commit
        x_disable_stats=True,  # load of the machine
        x_save_requirements=False,  # the record has the versions; installed packages may name folders
    )
    return wandb.init(mode=mode, settings=settings, reinit="finish_previous", **identity)


def _tidy(folder: Path, signature: str) -> bool:
    """Remove offline files of earlier attempts that were never sent; whether something may have been sent before.

    The new attempt is shown every line again that metrics.jsonl has kept. So a run has one folder to send, in which no
    step stands twice, however often it was interrupted.
    """
    attempts = folder / "wandb"
    for offline in attempts.glob(f"offline-run-*-{signature}"):
        if not any(offline.glob("*.wandb.synced")):
            shutil.rmtree(offline, ignore_errors=True)
    return any(attempts.glob(f"*run-*-{signature}"))
