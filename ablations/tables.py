"""Records to rows: one row per setting, one column per score, the runs of several seeds in each cell."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ablations import record as records
from ablations import stats

Record = dict[str, Any]
Group = dict[int, dict[str, Any]]  # fields of each identity, by the number of its object
# Score -> its title and decimals. The first four are better when higher, exact match and accuracy in percent; all
# others are better when lower.
SCORES = {
    "bleu": ("BLEU", 2),
    "chrf": ("chrF", 2),
    "exact_match": ("exact match", 2),
    "accuracy": ("accuracy", 2),
    "token_perplexity": ("perplexity", 2),
    "word_perplexity": ("word perplexity", 2),
    "byte_perplexity": ("byte perplexity", 3),
    "bits_per_byte": ("bits per byte", 4),
}
KINDS = ("translation", "classification", "language_modeling")  # in the order of their columns


@dataclass(frozen=True)
class Column:
    """One score on one split of one task."""

    score: str
    task: str
    split: str

    @property
    def title(self) -> str:
        """Such as "BLEU (multi30k_en_de, test_2016_flickr)"."""
        return f"{SCORES[self.score][0]} ({self.task}, {self.split})"


@dataclass(frozen=True, order=True)
class Setting:
    """A strategy, and whatever else differs between the runs of a task, such as "optim.lr=0.001"."""

    strategy: str
    rest: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.strategy, *self.rest])


@dataclass(frozen=True)
class Cell:
    """The runs of a setting in a column."""

    scores: dict[int, float]  # seed -> score
    missing: dict[str, int]  # "diverged", "failed" or "no score" -> number of runs
    summary: stats.Summary | None  # none: no run came to a score
    comparison: stats.Comparison | None = None  # with the baseline's row; headline columns only
    holm: float | None = None  # p adjusted for all comparisons of the headline table


@dataclass(frozen=True)
class Row:
    """A setting over all tasks. Costs are per task, as vocabulary and kind change them."""

    setting: Setting
    baseline: bool
    cells: dict[Column, Cell]
    projection_d2: dict[str, float]  # task -> weights of the Q, K and V maps, mean over sites, in d_model^2
    parameters: dict[str, int]
    cache_numbers: dict[str, int]  # remembered per token


def rows(runs: Iterable[Record], baseline: str = "separate") -> list[Row]:
    """The rows of a study from its records, the baseline's first.

    Each other row is compared with the baseline's of the same rest, or with the only one there is. Raises ValueError
    where two runs of one task are not comparable, naming both and what differs.
    """
    once = {run["signature"]: run for run in runs}  # a run may be on record in several studies
    runs = sorted(once.values(), key=lambda run: (run["task"], records.label(run["config"]), run["signature"]))
    refuse_mixtures(runs)
    named = settings(runs)
    by_setting: dict[Setting, list[Record]] = defaultdict(list)
    for run in runs:
        by_setting[named[run["signature"]]].append(run)
    order = sorted(by_setting, key=lambda setting: (setting.strategy != baseline, setting))
    columns = all_columns(runs)
    table = [_row(setting, by_setting[setting], columns, baseline) for setting in order]
    return _compare(table, headline_columns(runs))


def all_columns(runs: list[Record]) -> list[Column]:
    """Every score of every split on record, tasks and splits in the order of their configuration."""
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        for split, scores in (run.get("scores") or {}).items():
            there[run["task"], split].update(scores)
    return [
        Column(score, task, split)
        for task in _tasks(runs)
        for split in _splits(runs, task)
        for score in SCORES
        if score in there[task, split]
    ]


def headline_columns(runs: list[Record]) -> list[Column]:
    """BLEU of translators, accuracy of classifiers, perplexity of language models; of translators if these are alone.

    The split is the first that the task's configuration lists for testing, or validation.
    """
    kinds = {run["task"]: run["kind"] for run in runs}
    split = {run["task"]: (*run["config"]["task"]["test"], "valid")[0] for run in runs}
    translators, classifiers, models = ([task for task in _tasks(runs) if kinds[task] == kind] for kind in KINDS)
    alone = [] if classifiers or models else translators
    scores = {"bleu": translators, "accuracy": classifiers, "token_perplexity": models or alone}
    return [Column(score, task, split[task]) for score, tasks in scores.items() for task in tasks]


def settings(runs: list[Record]) -> dict[str, Setting]:
    """Signature -> setting: the strategy's name, and each field that other runs of the same task have otherwise.

    Fields of a site count only where runs under one strategy's name differ: the name stands for the rest.
    """
    by_task: dict[str, Group] = defaultdict(dict)
    by_strategy: dict[tuple[str, str], Group] = defaultdict(dict)
    alike: dict[tuple[int, tuple[str, str]], list[Record]] = defaultdict(list)
    identities = [_identity(run) for run in runs]
    for run, identity in zip(runs, identities, strict=True):
        strategy = run["task"], records.strategy_name(run["sites"])
        alike[id(identity), strategy].append(run)
        if id(identity) not in by_strategy[strategy]:
            general = {key: part for key, part in identity.items() if key not in ("sites", "seed", "task")}
            by_task[run["task"]][id(identity)] = dict(_flatten(general))  # the columns stand for the task
            by_strategy[strategy][id(identity)] = dict(_flatten(identity["sites"]))
    differing = {key: _differing(group) for key, group in [*by_task.items(), *by_strategy.items()]}
    result = {}
    for (number, (task, name)), group in alike.items():
        fields, sites = by_task[task][number], by_strategy[task, name][number]
        rest = [f"{key}={_text(fields.get(key))}" for key in differing[task]]
        rest += _merge_sites({key: _text(sites.get(key)) for key in differing[task, name]}, group[0]["sites"])
        result |= dict.fromkeys((run["signature"] for run in group), Setting(name, tuple(rest)))
    return result


def _identity(run: Record) -> dict[str, Any]:
    """One object for all seeds of a setting, where the runs are briefs."""
    return run["signed"] if "signed" in run else records.identity(run["config"])


def _differing(group: Group) -> list[str]:
    values = group.values()
    names = sorted({name for fields in values for name in fields})
    return [name for name in names if len({_text(fields.get(name)) for fields in values}) > 1]


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


def refuse_mixtures(runs: list[Record]) -> None:
    """Raises ValueError where two runs of one task were made under conditions that make their scores incomparable."""
    first: dict[tuple[str, str], tuple[Any, Record]] = {}
    identities = [_identity(run) for run in runs]
    tasks: dict[int, dict[str, Any]] = {}
    for run, identity in zip(runs, identities, strict=True):
        if id(identity["task"]) not in tasks:
            tasks[id(identity["task"])] = dict(_flatten(identity["task"]))
        for condition, value in {"task": tasks[id(identity["task"])], **conditions(run)}.items():
            other, where = first.setdefault((run["task"], condition), (value, run))
            if other != value:
                if isinstance(value, dict):
                    part = next(key for key in sorted({*other, *value}) if other.get(key) != value.get(key))
                    condition, other, value = f"{condition}.{part}", other.get(part), value.get(part)
                raise ValueError(
                    f"{_name(where)} and {_name(run)} cannot stand in one column: {condition} is {other} in the first "
                    f"and {value} in the second; give one kind of run a study.name of its own"
                )


def conditions(run: Record) -> dict[str, Any]:
    """What must be equal for two runs of one task to be compared, beside the task's settings, as far as it is known."""
    trainer = run["config"]["trainer"]
    result: dict[str, Any] = {
        "number of steps": trainer["steps"],
        "tokens per step": trainer["batch_tokens"] * trainer["accumulate"],
    }
    if run["status"] == "finished":
        result["data digest"] = run["data"]["digest"]
        result["tokenizer digest"] = run["data"]["tokenizer"]
        result["precision"] = run["training"]["precision"]
        for split, scores in run["scores"].items():
            for field, title in (
                ("bleu_signature", "BLEU signature"),
                ("chrf_signature", "chrF signature"),
                ("window", "evaluation window"),
            ):
                if field in scores:
                    result[f"{title} on {split}"] = scores[field]
    return result


def _row(setting: Setting, runs: list[Record], columns: list[Column], baseline: str) -> Row:
    cells = {}
    for column in columns:
        scores, missing = {}, Counter()
        for run in (run for run in runs if run["task"] == column.task):
            score = _scores(run, column.split).get(column.score)
            if run["status"] == "finished" and score is not None:
                assert run["seed"] not in scores, f"two runs of {setting} with seed {run['seed']}"
                scores[run["seed"]] = score
            else:
                missing["no score" if run["status"] == "finished" else run["status"]] += 1
        if scores or missing:
            summary = stats.summarize(list(scores.values())) if scores else None
            cells[column] = Cell(scores, dict(sorted(missing.items())), summary)

    def costs(key: str) -> dict[str, Any]:
        return {run["task"]: run["budget"][key] for run in runs if run.get("budget")}

    return Row(
        setting,
        setting.strategy == baseline,
        cells,
        costs("projection_d2"),
        costs("parameters"),
        costs("cache_numbers_per_token"),
    )


def _compare(table: list[Row], columns: list[Column]) -> list[Row]:
    bases = [row for row in table if row.baseline]
    compared: dict[tuple[int, Column], stats.Comparison] = {}
    for index, row in enumerate(table):
        base = next((base for base in bases if base.setting.rest == row.setting.rest), None)
        base = base or (bases[0] if len(bases) == 1 else None)
        if base is None or row.baseline:
            continue
        for column in columns:
            if column in row.cells and column in base.cells:
                comparison = stats.compare(row.cells[column].scores, base.cells[column].scores)
                if comparison is not None:
                    compared[index, column] = comparison
    ps = {key: comparison.p for key, comparison in compared.items() if comparison.p is not None}
    holm = dict(zip(ps, stats.holm(list(ps.values())), strict=True))

    def cells(index: int) -> dict[Column, Cell]:
        return {
            column: replace(cell, comparison=compared.get((index, column)), holm=holm.get((index, column)))
            for column, cell in table[index].cells.items()
        }

    return [replace(row, cells=cells(index)) for index, row in enumerate(table)]


def _tasks(runs: list[Record]) -> list[str]:
    """Translation first, as in the notes' table."""
    tasks = {(run["kind"], run["task"]) for run in runs}
    return [task for _, task in sorted((KINDS.index(kind), task) for kind, task in tasks)]


def _splits(runs: list[Record], task: str) -> list[str]:
    mine = [run for run in runs if run["task"] == task]
    listed = [split for run in mine for split in run["config"]["task"]["test"]]
    return list(dict.fromkeys([*listed, *sorted({split for run in mine for split in run.get("scores") or {}})]))


def _scores(run: Record, split: str) -> dict[str, Any]:
    return (run.get("scores") or {}).get(split, {})


def _flatten(part: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in part.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _text(value: Any) -> str:
    return "off" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _name(run: Record) -> str:
    return f"{records.label(run['config'])}-{run['signature']}"
