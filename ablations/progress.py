"""How far a run is: a live bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Any, Self


class Progress:
    """Shows step, loss, tokens per second and time left of one run; use it in a `with` statement.

    `start` is the step a resumed run begins with. Without a terminal a line appears at most every `interval` seconds:
    at each further tenth of the run, after a minute of silence, and for the last step.
    """

    def __init__(self, label: str, total: int, start: int = 0, interval: float = 5.0):
        self.label, self.total, self.start, self.interval = label, total, start, interval
        self._bar: Any = None
        self._began = self._spoke = time.monotonic()
        self._spoke_at = self._shown = start

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total, completed=self.start, numbers="")
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, loss: float, tokens_per_second: float) -> None:
        """Show that `step` steps are done; of several runs side by side the first one speaks."""
        if step == self._shown:
            return
        self._shown = step
        numbers = f"loss {loss:.3f}  {tokens_per_second:,.0f} tokens/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, numbers=numbers)
            return
        now = time.monotonic()
        silence = now - self._spoke
        tenth = 10 * step // self.total > 10 * self._spoke_at // self.total
        if step >= self.total or (silence >= self.interval and (tenth or silence >= 60)):
            left = (now - self._began) / max(1, step - self.start) * (self.total - step)
            print(f"{self.label}  step {step}/{self.total}  {numbers}  {clock(left)} left", flush=True)
            self._spoke, self._spoke_at = now, step


def _bar() -> Any:  # rich is imported only here: a job without a terminal needs none of it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("left"),
    )


def clock(seconds: float) -> str:
    """As minutes and seconds, with hours where there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
