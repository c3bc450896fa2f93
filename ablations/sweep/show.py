"""The states of a study's cells as a table in a terminal, or as plain lines for a file or a pipe."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ablations.progress import clock
from ablations.sweep.jobs import NoAnswerError
from ablations.sweep.status import STATES, State, Study

COLOURS = {"finished": "green", "stopped": "yellow", "diverged": "magenta", "running": "cyan", "failed": "red"}
Seen = dict[str, list[State]]  # by study


def once(studies: Seen) -> None:
    """Prints every study."""
    if not studies:
        print("nothing was launched from here: `python train.py study=...` does")
    for name, states in studies.items():
        if sys.stdout.isatty():
            from rich.console import Console

            Console().print(_table(name, states))
        else:
            width = max(len(state.label) for state in states)
            rows = (_row(replace(state, label=state.label.ljust(width))) for state in states)
            print("\n".join([*([name] if name else []), *("  ".join(filter(None, row)).rstrip() for row in rows)]))
            print(_counts(states), flush=True)


def watch(studies: Sequence[Study], rest: Callable[[], None]) -> None:
    """Shows the studies until nothing of them runs or waits, and rests between two looks.

    Where SLURM does not answer, that is said, and the next look is awaited.
    """
    if sys.stdout.isatty():
        from rich.console import Group
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            for seen in _looks(studies, rest):
                live.update(Group(*(_table(name, states) for name, states in seen.items())), refresh=True)
        return
    seen: Seen = {}
    for seen in _looks(studies, rest):
        print("; ".join(_counts(states) for states in seen.values()), flush=True)
    once(seen)


def _looks(studies: Sequence[Study], rest: Callable[[], None]) -> Iterator[Seen]:
    while True:
        try:
            seen = {study.name: study.look() for study in studies}
        except NoAnswerError as silence:
            print(f"warning: {silence}", file=sys.stderr, flush=True)
        else:
            yield seen
            if not any(state.state in ("running", "waiting") for states in seen.values() for state in states):
                return
        rest()


def _counts(states: list[State]) -> str:
    found = Counter(state.state for state in states)
    return f"{len(states)} runs: " + ", ".join(f"{found[name]} {name}" for name in STATES if found[name])


def _row(state: State) -> list[str]:
    step = f"{state.step or 0}/{state.steps}" if state.state != "missing" else ""
    loss = f"loss {state.loss:.3f}" if state.loss is not None else ""
    left = f"{clock(state.left)} left" if state.left is not None else ""
    return [state.state.ljust(8), state.label, step, loss, left, state.word]


def _table(name: str, states: list[State]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=name or None, caption=_counts(states), box=None, header_style="dim")
    for heading in ("", "run", "step", "", "", ""):
        table.add_column(heading, overflow="fold")
    for state in states:
        first, *others = _row(state)
        table.add_row(Text(first.strip(), style=COLOURS.get(state.state, "")), *(Text(cell) for cell in others))
    return table
