"""Short names of settings, for legends and axes."""

from collections import Counter
from collections.abc import Collection, Iterable

from ablations.tables import Setting
from ablations.tables.settings import determined, general, rank


def short_labels(settings: Iterable[Setting]) -> dict[Setting, str]:
    """Setting -> its text, without fields that follow from the others.

    Where no two settings with one `model.heads` differ in `model.head_dim`, the heads say it all. Fields of the whole
    run must follow in all settings, those of a site in the settings of a strategy. Tables name all fields.
    """
    given = set(settings)
    kept = _telling(sorted({name for setting in given for name in setting.fields() if general(name)}, key=rank), given)
    found = {}
    for strategy in {setting.strategy for setting in given}:
        mine = [setting for setting in given if setting.strategy == strategy]
        own = sorted({name for setting in mine for name in setting.fields() if not general(name)})
        telling = _telling([*kept, *own], mine) if own else kept
        for setting in mine:
            rest = [part for part in setting.rest if (name := part.split("=", 1)[0]) in kept or name in telling]
            found[setting] = ", ".join([strategy, *rest])
    often = Counter(found.values())
    return {setting: text if often[text] == 1 else str(setting) for setting, text in found.items()}


def _telling(names: list[str], settings: Collection[Setting]) -> list[str]:
    """The names in order, without those that follow from one before."""
    kept: list[str] = []
    for name in names:
        if not any(determined(name, other, settings) for other in kept):
            kept.append(name)
    return kept
