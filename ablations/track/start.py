"""The tracker of a run, with the dashboard that was asked for."""

from pathlib import Path
from typing import Any

from ablations.config import TrackingConfig
from ablations.track import trackio_run, wandb_run
from ablations.track.background import Background
from ablations.track.tracker import FILE, Tracker, cut


def open_tracker(tracking: TrackingConfig, record: dict[str, Any], folder: str | Path, resume_step: int) -> Tracker:
    """The tracker of one run, to be used in a `with` statement.

    `record` is the run's record as far as it is known; `folder` its work folder; `resume_step` the last step of the
    checkpoint it goes on from, 0 for a new run: later lines of an interrupted attempt are cut off, as training will
    log them again. A dashboard that cannot be had costs one warning.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines, last = cut(folder / FILE, resume_step)
    mirror = None
    if tracking.name == "trackio":
        mirror = trackio_run.start(record, folder.parent / trackio_run.FOLDER)
    elif tracking.name != "none":
        # Importing wandb takes a second and a network that is not there three more.
        mirror = Background("W&B", lambda: wandb_run.start(tracking, record, folder, last))
    return Tracker(folder / FILE, mirror, lines)
