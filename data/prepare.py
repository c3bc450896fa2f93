"""The prepared folder of a task: `<cache>/<task name>/<digest of its text settings>/<digest of the text>/`."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from data.build import build
from data.config import CorpusConfig, TaskConfig
from data.corpora import Corpus, open_corpus
from data.files import MissingCorpusError
from data.prepared import FORMAT, DamagedError, Prepared
from data.steady import steady
from data.turn import turn


def prepare(task: TaskConfig, corpora: str | None, cache: str) -> Prepared:
    """The prepared text of a task: found, or built where text is at hand.

    Text on this machine decides by its content. Where it is not (the hub; a machine to which only the prepared folder
    was copied) the folder is found by the task's settings alone.

    Raises: MissingCorpusError, ValueError; both say what to do.
    """
    task.check()
    home = _home(cache, task)
    try:
        corpus = open_corpus(task, corpora)
        if corpus.local:
            _check_splits(task, corpus.splits)
            corpus = steady(corpus)
            return _found_or_built(partial(Prepared.find, home / corpus.content(), task), task, corpus, home)
        if (prepared := _found(home, task)) is not None:
            return prepared
        _check_splits(task, corpus.splits, MissingCorpusError)  # files elsewhere may have what the hub lacks
        return _found_or_built(partial(_found, home, task), task, corpus, home)
    except MissingCorpusError as missing:
        if (prepared := _found(home, task)) is not None:
            return prepared
        if (unusable := _unusable(cache, task)) is None:
            raise
        raise ValueError(
            f"{unusable}, and its source is not here to build it again: give paths.corpora=FOLDER, or prepare it where "
            "the source is (scripts/prepare.py) and copy the folder here"
        ) from missing


def _found_or_built(find: Callable[[], Prepared | None], task: TaskConfig, corpus: Corpus, home: Path) -> Prepared:
    """What is there already, or is there once others have had their turn; else built here."""
    if (prepared := find()) is not None:
        return prepared
    with turn(home):
        return find() or build(task, corpus, home)


def config_digest(task: TaskConfig, version: int = FORMAT) -> str:
    """Digest of the settings that decide which integers come out; no context, test list, or folder is among them.

    `version`: the format of the prepared folder.
    """
    defaults = dataclasses.asdict(CorpusConfig())
    corpus = {key: value for key, value in dataclasses.asdict(task.corpus).items() if value != defaults[key]}
    if "files" in corpus:
        corpus["files"] = {split: _without_folder(path) for split, path in corpus["files"].items()}
    if "hub" in corpus:
        corpus["hub"] = _without_folder(corpus["hub"])
    if "hub_splits" in corpus:
        corpus["hub_splits"] = list(corpus["hub_splits"].items())  # their order decides who takes which rows
    settings = {"format": version, "kind": task.kind, "corpus": corpus, "tokenizer": task.tokenizer.essentials()}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _without_folder(path: Any) -> Any:
    if isinstance(path, dict):
        return {side: _without_folder(name) for side, name in path.items()}
    return Path(path).name if isinstance(path, str) and Path(path).expanduser().is_absolute() else path


def _check_splits(task: TaskConfig, splits: tuple[str, ...], error: type[Exception] = ValueError) -> None:
    for needed in ("train", "valid"):
        if needed not in splits:
            raise error(f"task {task.name} has no {needed} text, only {', '.join(splits)}")
    if missing := [split for split in task.test if split not in splits]:
        there = [split for split in splits if split not in ("train", "valid")]
        hint = f"type 'task.test=[{','.join(split for split in task.test if split in there) or ','.join(there)}]'"
        if set(missing) <= set(task.corpus.files):
            hint += ", or give paths.corpora=FOLDER, for files that have more"
        raise error(f"task.test asks for {', '.join(missing)}, which this corpus does not have: {hint}")


def _found(home: Path, task: TaskConfig) -> Prepared | None:
    """The one whole prepared folder of these settings. Raises: ValueError where there are several."""
    whole = [prepared for folder in _folders(home) if (prepared := Prepared.find(folder, task)) is not None]
    if len({prepared.digest for prepared in whole}) > 1:
        raise ValueError(
            f"{home} holds {len(whole)} prepared texts and their source is not here to choose between them: "
            f"remove all but one, or give paths.corpora"
        )
    if not whole:
        return None
    _check_splits(task, whole[0].splits)
    return whole[0]


def _home(cache: str, task: TaskConfig, version: int = FORMAT) -> Path:
    return Path(cache).expanduser() / task.name / config_digest(task, version)


def _folders(home: Path) -> list[Path]:
    return sorted(home.glob("[0-9a-f]*")) if home.is_dir() else []


def _unusable(cache: str, task: TaskConfig) -> str | None:
    """What is wrong with the folder of these settings, where there is one but none that is whole."""
    for folder in _folders(_home(cache, task)):
        try:
            Prepared.open(folder, task)
        except DamagedError as damage:
            return str(damage)
    for version in reversed(range(1, FORMAT)):
        for folder in _folders(_home(cache, task, version)):
            return f"the prepared text {folder} is of an older format ({version}, now {FORMAT})"
    return None
