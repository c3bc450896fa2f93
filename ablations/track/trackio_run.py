"""Trackio as the mirror of a run: a dashboard on this machine, for people without an account."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from ablations.track.outcome import Outcome, public, title
from ablations.track.tracker import FILE, Line, first_line, warn

FOLDER = "trackio"  # beside the runs' work folders


class TrackioRun:
    """One run of trackio's for a record, in place of the one it has already: the lines come again from the file.

    It lies in `folder`, in the project of the record's study. Trackio knows no summary: what is known at the end is
    logged at the last step. Raises ImportError where trackio is not installed.
    """

    name = "trackio"

    def __init__(self, record: dict[str, Any], folder: Path):
        use(folder)
        from trackio.run import Run
        from trackio.sqlite_storage import SQLiteStorage

        class LocalRun(Run):
            def _get_username(self) -> None:
                return None  # the hub would be asked who is logged in there

        project, signature = project_of(record["study"]), record["signature"]
        SQLiteStorage.delete_run(project, title(record), run_id=signature)
        # Not trackio.init, which prints, watches the machine, and sends elsewhere if the environment says so.
        self._run = LocalRun(
            url=None,
            project=project,
            client=None,
            name=title(record),
            run_id=signature,
            group=record["strategy"],
            config=public(record),
        )
        self._last = 0

    def log(self, line: Line) -> None:
        """A line under its step."""
        self._last = line["step"]
        self._run.log({name: value for name, value in line.items() if name != "step"}, step=line["step"])

    def show(self, outcome: Outcome) -> None:
        """Scores and costs at the last step, analyses at theirs, translations as a table, maps as pictures."""
        import trackio

        for step, measured in outcome.observed.items():
            self._run.log(dict(measured), step=step)
        shown: dict[str, Any] = {name: value for name, value in outcome.numbers.items() if name != "status"}
        shown |= {f"attention/{site}": trackio.Image(picture) for site, picture in outcome.maps.items()}
        if outcome.samples:
            import pandas

            shown["samples"] = trackio.Table(dataframe=pandas.DataFrame(outcome.samples))
        self._run.log(shown, step=self._last)

    def close(self, failed: bool) -> None:
        """Writes what is still waiting."""
        with contextlib.redirect_stdout(io.StringIO()):  # "please wait"
            self._run.finish()


def start(record: dict[str, Any], folder: Path) -> TrackioRun | None:
    """The trackio run of a record; none, with a warning, where it cannot be."""
    try:
        return TrackioRun(record, folder)
    except ImportError:
        warn(f"trackio is not installed (pip install -r requirements-dashboard.txt): numbers go to {FILE} only")
    except Exception as error:  # any fault: it is a mirror
        warn(f"trackio cannot start ({first_line(error)}): numbers go to {FILE} only")
    return None


def use(folder: Path) -> None:
    """Make trackio keep its files in `folder`, not in the home folder, unless TRACKIO_DIR names another.

    It reads this once, when it is imported.
    """
    os.environ.setdefault("TRACKIO_DIR", str(folder.resolve()))


def project_of(study: str) -> str:
    """The trackio project of a study; its file names have letters, digits, - and _ alone."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in study)
