"""Finished studies in trackio, from their records alone: what `make dashboard` shows."""

import os
from pathlib import Path

from ablations import record as records
from ablations.track import trackio_run
from ablations.track.outcome import outcome


def fill(results: str | Path, study: str) -> int:
    """Put every run on record of a study into its trackio project, in place of what stood there; how many.

    Attention maps are left out: drawing takes seconds each, and `make figures` has drawn them already.
    """
    _need(results)
    found = records.load_all(results, study)
    for record in found:
        run = trackio_run.TrackioRun(record, folder(results))
        for line in record.get("curve") or []:
            run.log({name: value for name, value in line.items() if value is not None})
        run.show(outcome(record, draw=False))
        run.close(failed=False)
    return len(found)


def show(results: str | Path, studies: list[str], port: int | None = None, browser: bool = True) -> None:
    """Serve trackio's page to this machine alone, the first study in front, until Ctrl-C.

    `port`: none takes the first free one from 7860. Raises ValueError where the port is taken.
    """
    _need(results)
    import trackio

    try:
        project = trackio_run.project_of(studies[0]) if studies else None
        trackio.show(project=project, open_browser=browser, server_port=port, host="127.0.0.1", share=False)
    except OSError:
        raise ValueError(f"port {port} is taken: choose another with --port, or leave it out") from None


def folder(results: str | Path) -> Path:
    """Where trackio keeps its files."""
    return Path(results) / "work" / trackio_run.FOLDER


def _need(results: str | Path) -> None:
    trackio_run.use(folder(results))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here is for the hub
    try:
        import trackio  # noqa: F401
    except ImportError:
        raise ValueError("trackio is not installed: pip install -r requirements-dashboard.txt") from None
