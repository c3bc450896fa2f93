"""Axes: a study of strategies by one more setting, such as the number of heads or the kind of positions."""

from collections import defaultdict
from dataclasses import dataclass

from ablations.tables.rows import Row
from ablations.tables.settings import general, number_of

FIRST = ("model.heads", "position.kind", "optim.lr", "model.d_model", "model.d_ff")  # leads where several could


@dataclass(frozen=True)
class Axis:
    """Values of one field, and under each the rows by strategy; sizes of a site belong to the strategy's name."""

    field: str
    values: dict[str, dict[str, Row]]  # value -> strategy -> row, in order
    following: tuple[str, ...]  # fields whose value each value of this one settles

    @property
    def strategies(self) -> list[str]:
        """In the order of the rows, the baseline's first."""
        found = [(name, row.baseline) for rows in self.values.values() for name, row in rows.items()]
        return [name for name, _ in sorted(dict.fromkeys(found), key=lambda pair: not pair[1])]


def axis(table: list[Row]) -> Axis | None:
    """The one field that, beside the strategy, tells all settings apart. None where it takes none, or more than one."""
    names = sorted({name for row in table for name in row.setting.fields() if general(name)}, key=_rank)
    leading = next((name for name in names if _settles(name, names, table)), None)
    if leading is None or any(leading not in row.setting.fields() for row in table):
        return None
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    following = {name for name in names if name != leading}
    for row in table:
        fields = row.setting.fields()
        own = [name for name in fields if not general(name)]
        mine = [other for other in table if other.setting.strategy == row.setting.strategy]
        settled = [name for name in own if follows(name, leading, mine)]
        following |= set(settled)
        name = ", ".join([row.setting.strategy, *(f"{field}={fields[field]}" for field in own if field not in settled)])
        if name in found[fields[leading]]:
            return None
        found[fields[leading]][name] = row
    if len(found) < 2:
        return None
    return Axis(leading, {value: found[value] for value in sorted(found, key=number_of)}, tuple(sorted(following)))


def follows(name: str, leading: str, table: list[Row]) -> bool:
    """Whether in these rows each value of the leading field goes with one value of the other."""
    seen: dict[str | None, str | None] = {}
    for row in table:
        fields = row.setting.fields()
        if seen.setdefault(fields.get(leading), fields.get(name)) != fields.get(name):
            return False
    return True


def _settles(leading: str, names: list[str], table: list[Row]) -> bool:
    return all(follows(name, leading, table) for name in names)


def _rank(name: str) -> tuple[int, str]:
    return FIRST.index(name) if name in FIRST else len(FIRST), name
