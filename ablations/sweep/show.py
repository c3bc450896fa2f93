"""The states of a study's cells as a table in a terminal, or as plain lines for a file or a pipe."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ablations.progress import clock
from ablations.sweep.status import STATES, State

COLOURS = {"finished": "green", "diverged": "magenta", "running": "cyan", "failed": "red"}
Studies = dict[str, list[State]]


def once(studies: Studies) -> None:
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


def watch(look: Callable[[], Studies], rest: Callable[[], None]) -> None:
    """Shows what `look` sees until nothing runs or waits, and rests in between."""
    if not sys.stdout.isatty():
        while _going_on(seen := look()):
            print("; ".join(_counts(states) for states in seen.values()), flush=True)
            rest()
        once(seen)
        return
    from rich.console import Group
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        while True:
            seen = look()
            live.update(Group(*(_table(name, states) for name, states in seen.items())), refresh=True)
            if not _going_on(seen):
                return
            rest()


def _going_on(studies: Studies) -> bool:
    return any(state.state in ("running", "waiting") for states in studies.values() for state in states)


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
