"""Sites: one strategy at some of them and the baseline at the others."""

from collections import defaultdict
from dataclasses import dataclass

from ablations.tables.rows import Row

NOWHERE, EVERYWHERE = "nowhere", "everywhere"
ORDER = (NOWHERE, "encoder", "decoder", "cross")


@dataclass(frozen=True)
class Sites:
    """The rows of one strategy by the sites that have it, such as "encoder + decoder"; NOWHERE is the baseline's."""

    strategy: str
    rest: tuple[str, ...]
    rows: dict[str, Row]


def sites(table: list[Row], baseline: str) -> list[Sites]:
    """None where no strategy stands at two different sets of sites."""
    found: dict[tuple[str, tuple[str, ...]], dict[str, Row]] = defaultdict(dict)
    bases = {row.setting.rest: row for row in table if row.baseline}
    for row in table:
        names = row.runs[0]["sites"]
        others = sorted(set(names.values()) - {baseline})
        if len(others) == 1 and len(names) > 1:
            having = [site for site in ORDER if names.get(site) == others[0]]
            found[others[0], row.setting.rest][_where(having, len(names))] = row
    result = []
    for (strategy, rest), rows in sorted(found.items()):
        if len(rows) > 1:
            base = {NOWHERE: bases[rest]} if rest in bases else {}
            result.append(Sites(strategy, rest, {**base, **rows}))
    return result


def places(found: list[Sites]) -> list[str]:
    """Every set of sites among them, single sites first."""
    names = {name for one in found for name in one.rows}

    def order(name: str) -> tuple[bool, int, list[int]]:
        parts = name.split(" + ")
        return name == EVERYWHERE, len(parts), [ORDER.index(part) for part in parts if part in ORDER]

    return sorted(names, key=order)


def _where(having: list[str], all_of_them: int) -> str:
    return EVERYWHERE if len(having) == all_of_them else " + ".join(having)
