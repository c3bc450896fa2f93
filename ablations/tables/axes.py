"""Axes: a study of strategies by one more setting, such as the number of heads or the kind of positions."""

from collections import defaultdict
from dataclasses import dataclass

from ablations.tables.rows import Row
from ablations.tables.settings import determined, general, number_of, rank


@dataclass(frozen=True)
class Axis:
    """Values of one field, and under each the rows by strategy; sizes of a site belong to the strategy's name."""

    field: str
    values: dict[str, dict[str, Row]]  # value -> strategy -> row, in order
    strategies: tuple[str, ...]  # in the order of the rows, the baseline's first
    following: tuple[str, ...]  # fields whose value each value of this one settles


def axis(table: list[Row]) -> Axis | None:
    """The one field that, beside the strategy, tells all settings apart. None where it takes none, or more than one."""
    settings = [row.setting for row in table]
    names = sorted({name for row in table for name in row.setting.fields() if general(name)}, key=rank)
    leading = next((name for name in names if all(determined(other, name, settings) for other in names)), None)
    if leading is None or any(leading not in row.setting.fields() for row in table):
        return None
    by_strategy: dict[str, list[Row]] = defaultdict(list)
    for row in table:
        by_strategy[row.setting.strategy].append(row)
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    following = {name for name in names if name != leading}
    strategies: list[str] = []
    for strategy, mine in by_strategy.items():
        own = sorted({name for row in mine for name in row.setting.fields() if not general(name)})
        settled = {name for name in own if determined(name, leading, [row.setting for row in mine])}
        following |= settled
        for row in mine:
            fields = row.setting.fields()
            name = ", ".join([strategy, *(f"{field}={fields.get(field)}" for field in own if field not in settled)])
            if found[fields[leading]].setdefault(name, row) is not row:
                return None
            strategies.append(name)
    if len(found) < 2:
        return None
    values = {value: found[value] for value in sorted(found, key=number_of)}
    return Axis(leading, values, tuple(dict.fromkeys(strategies)), tuple(sorted(following)))
