"""Text through the `datasets` library: the hub by name, or a local folder that `datasets` can load."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from data.config import CorpusConfig
from data.files import MissingCorpusError, within


def is_local(config: CorpusConfig) -> bool:
    """Whether the data set is a folder on this machine rather than a name on the hub.

    Raises: ValueError for a relative one that leaves the working directory by "..".
    """
    return config.hub is not None and within(config.hub, ".").is_dir()


def read_rows(config: CorpusConfig, split: str, sides: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Rows of one split, each as its `sides` ("text"; "source" and "target"; "text" and "label").

    Raises: MissingCorpusError where the data set cannot be reached, ValueError where it has no such split or column.
    """
    columns = [config.columns.get(side, side) for side in sides]
    first, count = _share(config, split)
    dataset = _load(config, config.hub_splits[split])
    for column in columns:
        top = column.split(".")[0]
        if dataset.column_names is not None and top not in dataset.column_names:
            raise ValueError(
                f"data set {config.hub} has no column {top}, only {', '.join(dataset.column_names)}: "
                f"set task.corpus.columns"
            )
    if dataset.column_names is not None:
        dataset = dataset.select_columns(sorted({column.split(".")[0] for column in columns}))
    if first:
        dataset = dataset.skip(first)
    for row in islice(dataset, count):
        yield tuple(
            _cell(config, row, column, numbers=side == "label") for side, column in zip(sides, columns, strict=True)
        )


def _share(config: CorpusConfig, split: str) -> tuple[int, int | None]:
    """Which rows of the hub's split are ours: (first, how many; none: the rest)."""
    first = 0
    for other, theirs in config.hub_splits.items():
        if other == split:
            break
        if theirs == config.hub_splits[split]:
            if other not in config.max_documents:
                raise ValueError(
                    f"the splits {other} and {split} both read {theirs} of {config.hub}: say with "
                    f"task.corpus.max_documents.{other} how many rows {other} takes"
                )
            first += config.max_documents[other]
    return first, config.max_documents.get(split)


def _load(config: CorpusConfig, split: str) -> Any:
    try:
        import datasets
        from datasets.exceptions import DatasetsError
    except ImportError:
        raise MissingCorpusError(
            f"reading {config.hub} needs the package datasets: pip install datasets, or copy a folder prepared "
            "elsewhere with scripts/prepare.py into paths.cache"
        ) from None
    datasets.disable_progress_bars()
    assert config.hub is not None
    name = str(within(config.hub, ".")) if is_local(config) else config.hub
    how: dict[str, Any] = {"split": split, "revision": config.hub_revision, "streaming": config.streaming}
    try:
        return datasets.load_dataset(name, config.hub_config, **how)
    except (ConnectionError, FileNotFoundError) as error:  # the library's own errors inherit from these
        where = "give paths.corpora=FOLDER for local files, or " if config.files else ""
        raise MissingCorpusError(
            f"data set {config.hub} could not be reached ({_first_line(error)}): {where}prepare it on a machine "
            "with network (scripts/prepare.py) and copy the folder into paths.cache"
        ) from None
    except (ValueError, RuntimeError, DatasetsError) as error:
        raise ValueError(f"data set {config.hub} could not be loaded: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _cell(config: CorpusConfig, row: dict[str, Any], column: str, numbers: bool) -> str:
    """The text in a cell, or its whole number written out where `numbers` are allowed."""
    value: Any = row
    for name in column.split("."):
        if not isinstance(value, dict) or name not in value:
            raise ValueError(f"data set {config.hub} has no column {column}: set task.corpus.columns")
        value = value[name]
    if value is None:
        return ""
    if numbers and isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"column {column} of data set {config.hub} holds {type(value).__name__}, not text")
    return value.replace("\r\n", "\n")
