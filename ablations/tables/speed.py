"""Speed in steps: when a setting is first as good as the baseline is in the end, by its validations on record."""

from dataclasses import dataclass
from statistics import median

from ablations.record.parts import validations
from ablations.tables.columns import Record
from ablations.tables.rows import Row

FEW = 2  # validations; with fewer there is nothing between which to look


@dataclass(frozen=True)
class Reached:
    """One setting on one task, by seed."""

    row: Row
    steps: dict[int, float]  # seed -> the first step at or below the baseline's last loss, linear in between
    never: int  # seeds that do not get there, those that diverged before among them
    few: int  # seeds with too few validations, of their own or of the baseline
    failed: int  # runs, which are not looked at
    diverged: int  # of those that never get there
    alone: dict[int, str]  # seeds left out -> what became of the baseline's run: "diverged", "failed" or "no run"

    @property
    def median(self) -> float | None:
        """Over all seeds that could be looked at, "never" being later than any step; None if that is the median."""
        known = sorted([*self.steps.values(), *[float("inf")] * self.never])
        middle = median(known) if known else float("inf")
        return middle if middle < float("inf") else None


def reached(table: list[Row], task: str) -> list[Reached]:
    """Every setting that has a baseline, and the baselines themselves, by the baseline's runs of the same seed."""
    bases = {row.setting: row for row in table if row.baseline}
    found = []
    for row in table:
        base = row if row.baseline else bases[row.against] if row.against else None
        if base is not None:
            curves = _curves(base, task)
            goals = {run["seed"]: points for run, points in curves if run["status"] == "finished"}
            found.append(_reached(row, task, goals, {run["seed"]: run["status"] for run, _ in curves}))
    return [one for one in found if one.steps or one.never or one.few or one.alone or one.failed]


def crossing(points: list[list[float]], goal: float) -> float | None:
    """The first step at which a line through [step, loss] is at or below the goal; None if it never is."""
    before: list[float] | None = None
    for step, loss in points:
        if loss <= goal:
            if before is None:
                return step
            return before[0] + (step - before[0]) * (before[1] - goal) / (before[1] - loss)
        before = [step, loss]
    return None


def _reached(row: Row, task: str, goals: dict[int, list[list[float]]], became: dict[int, str]) -> Reached:
    steps, never, few, failed, diverged, alone = {}, 0, 0, 0, 0, {}
    for run, points in _curves(row, task):
        goal = goals.get(run["seed"])
        if run["status"] == "failed":
            failed += 1
        elif goal is None:
            alone[run["seed"]] = became.get(run["seed"], "no run")
        elif len(goal) < FEW or (len(points) < FEW and run["status"] == "finished"):
            few += 1
        elif (step := crossing(points, goal[-1][1])) is None:
            never += 1
            diverged += run["status"] == "diverged"
        else:
            steps[run["seed"]] = step
    return Reached(row, steps, never, few, failed, diverged, alone)


def _curves(row: Row, task: str) -> list[tuple[Record, list[list[float]]]]:
    runs = [run for run in row.runs if run["task"] == task]
    return [(run, run["validations"] if "validations" in run else validations(run.get("curve"))) for run in runs]
