"""Settings: which runs differ in nothing but their seed, and what tells them from the others."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ablations import record as records
from ablations.tables.columns import Record

FIRST = ("model.heads", "position.kind", "optim.lr", "model.d_model", "model.d_ff")  # leads where several could
Group = dict[int, dict[str, Any]]  # fields of each identity, by the number of its object


@dataclass(frozen=True, order=True)
class Setting:
    """A strategy, and whatever else differs between the runs of a task, such as "optim.lr=0.001"."""

    strategy: str
    rest: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.strategy, *self.rest])

    def order(self) -> tuple[Any, ...]:
        """Sorts settings, numbers by size."""
        return self.strategy, [(name, number_of(value)) for name, value in self.fields().items()]

    def fields(self) -> dict[str, str]:
        """The rest by name."""
        return dict(field.split("=", 1) for field in self.rest)


def settings(runs: list[Record]) -> dict[str, Setting]:
    """Signature -> setting: the strategy's name, and each field that other runs of the same task have otherwise.

    Fields of a site count only where runs under one strategy's name differ: the name stands for the rest.
    """
    by_task: dict[str, Group] = defaultdict(dict)
    by_strategy: dict[tuple[str, str], Group] = defaultdict(dict)
    alike: dict[tuple[int, tuple[str, str]], list[Record]] = defaultdict(list)
    identities = [identity_of(run) for run in runs]
    for run, identity in zip(runs, identities, strict=True):
        strategy = run["task"], records.strategy_name(run["sites"])
        alike[id(identity), strategy].append(run)
        if id(identity) not in by_strategy[strategy]:
            general = {key: part for key, part in identity.items() if key not in ("sites", "seed", "task")}
            by_task[run["task"]][id(identity)] = dict(flatten(general))  # the columns stand for the task
            by_strategy[strategy][id(identity)] = dict(flatten(identity["sites"]))
    differing = {key: _differing(group) for key, group in [*by_task.items(), *by_strategy.items()]}
    result = {}
    for (number, (task, name)), group in alike.items():
        fields, sites = by_task[task][number], by_strategy[task, name][number]
        rest = [f"{key}={text_of(fields.get(key))}" for key in differing[task]]
        rest += _merge_sites({key: text_of(sites.get(key)) for key in differing[task, name]}, group[0]["sites"])
        result |= dict.fromkeys((run["signature"] for run in group), Setting(name, tuple(rest)))
    return result


def identity_of(run: Record) -> dict[str, Any]:
    """One object for all seeds of a setting, where the runs are briefs."""
    return run["signed"] if "signed" in run else records.identity(run["config"])


def general(field: str) -> bool:
    """Whether a field of a setting's rest is one of the whole run, and not of its sites."""
    first, *inner = field.split(".")
    return bool(inner) and first not in ("encoder", "decoder", "cross")


def determined(name: str, leading: str, among: Collection[Setting]) -> bool:
    """Whether in these settings each value of the leading field goes with one value of the other."""
    seen: dict[str | None, str | None] = {}
    for setting in among:
        fields = setting.fields()
        if seen.setdefault(fields.get(leading), fields.get(name)) != fields.get(name):
            return False
    return True


def rank(name: str) -> tuple[int, str]:
    """Sorts fields: those first that others follow from."""
    return FIRST.index(name) if name in FIRST else len(FIRST), name


def flatten(part: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted paths and values of a dict of dicts."""
    for key, value in part.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def text_of(value: Any) -> str:
    """A value of a config as a setting names it."""
    return "off" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def number_of(text: str) -> tuple[bool, float, str]:
    """Sorts values: numbers by size, then words."""
    try:
        return False, float(text), ""
    except ValueError:
        return True, 0.0, text


def _differing(group: Group) -> list[str]:
    values = list(group.values())
    names = sorted({name for fields in values for name in fields})
    return [name for name in names if len({text_of(fields.get(name)) for fields in values}) > 1]


def _merge_sites(fields: dict[str, str], sites: Iterable[str]) -> list[str]:
    """`kv_heads=2` instead of the same for each site; fields are named `decoder.kv_heads`."""
    where = defaultdict(list)
    for name, value in fields.items():
        site, field = name.split(".", 1)
        where[field, value].append(site)
    everywhere = len(list(sites))
    return sorted(
        f"{site}{field}={value}"
        for (field, value), found in where.items()
        for site in ([""] if len(found) == everywhere else [f"{site}." for site in found])
    )
