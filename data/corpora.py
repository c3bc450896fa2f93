"""Where text comes from: local files, the hub, the installation, a generator.

One item is a document, a pair of sentences, or a sentence with its label.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data import files, hub
from data.builtin import BUILTIN
from data.config import TaskConfig, one_of
from data.synthetic import GENERATORS, generate, kind_of

Item = tuple[str, ...]  # (document,), (source, target) or (text, label)
SIDES = {"language_modeling": ("text",), "translation": ("source", "target"), "classification": ("text", "label")}


@dataclass
class Corpus:
    """Text by split. `read` may be called again and starts anew."""

    origin: str  # files | hub | builtin | generator
    splits: tuple[str, ...]
    read: Callable[[str], Iterator[Item]]
    local: bool = True  # on this machine, so that reading it is cheap
    # where item number i of a split stands, for a refusal; items are numbered from 0
    place: Callable[[str, int], str] = lambda split, number: f"row {number + 1} of the {split} text"

    def content(self) -> str:
        """Digest of all text, whatever file or service it came from."""
        digest = ContentDigest()
        for split in self.splits:
            for item in self.read(split):
                digest.add(split, item)
        return digest.hexdigest()


class ContentDigest:
    """Digest of splits and their items: where an item ends counts, the order of the splits does not."""

    def __init__(self) -> None:
        self._splits: dict[str, Any] = {}

    def add(self, split: str, item: Item) -> None:
        """Add one item."""
        digest = self._splits.setdefault(split, hashlib.sha256())
        for text in item:
            encoded = text.encode()
            digest.update(b"%d:" % len(encoded))
            digest.update(encoded)

    def hexdigest(self) -> str:
        """The first 16 hexadecimal digits."""
        whole = "".join(f"{split} {digest.hexdigest()}\n" for split, digest in sorted(self._splits.items()))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def sides(task: TaskConfig) -> tuple[str, ...]:
    """Names of an item's parts."""
    return SIDES[task.kind]


def open_corpus(task: TaskConfig, corpora: str | None) -> Corpus:
    """The corpus a task asks for; local files are looked up, nothing is read yet.

    Raises: MissingCorpusError where the text is not on this machine, ValueError for a configuration without text.
    """
    config = task.corpus
    if config.builtin is not None:
        if task.kind != "language_modeling":
            raise ValueError(f"the built-in text {config.builtin} is for language modelling, not for {task.kind}")
        one_of("task.corpus.builtin", config.builtin, BUILTIN)
        return _in_memory("builtin", BUILTIN[config.builtin]())
    if config.generator is not None:
        one_of("task.corpus.generator", config.generator, GENERATORS)
        if task.kind != (kind := kind_of(config.generator)):
            raise ValueError(
                f"the generator {config.generator} makes nothing for {task.kind}: it needs task.kind={kind}"
            )
        return _in_memory("generator", generate(config.generator, config.options))
    paths = {split: path for split, path in config.files.items() if _named(path)}
    absolute = bool(paths) and all(
        Path(name).expanduser().is_absolute() for path in paths.values() for name in _all(path)
    )
    if config.files and (corpora is not None or config.hub is None or absolute):
        return _from_files(task, paths, corpora)
    if config.hub is None:
        raise ValueError("the task names no text: set task.corpus.files, hub, builtin or generator")
    splits = tuple(config.hub_splits)
    if not splits:
        raise ValueError(f"say which splits of {config.hub} to read, such as task.corpus.hub_splits={{train: train}}")
    return Corpus("hub", splits, partial(_hub_items, task), local=hub.is_local(config))


def _in_memory(origin: str, splits: dict[str, list[Any]]) -> Corpus:
    def read(split: str) -> Iterator[Item]:
        return ((item,) if isinstance(item, str) else item for item in splits[split])

    return Corpus(origin, tuple(splits), read)


def _all(path: Any) -> list[str]:
    return [path] if isinstance(path, str) else list(path.values())


def _named(path: Any) -> bool:
    """Whether a split's path is given; a pair with one side missing is refused later, by name."""
    return path is not None and (isinstance(path, str) or any(name is not None for name in path.values()))


def _from_files(task: TaskConfig, paths: dict[str, Any], corpora: str | None) -> Corpus:
    if not paths:
        example = "{source: FILE, target: FILE}" if task.kind == "translation" else "FILE"
        key = next(iter(task.corpus.files))
        raise ValueError(f"no file is given: type 'task.corpus.files.{key}={example}'")
    found: dict[str, tuple[Path, ...]] = {}
    for split, path in paths.items():
        pair = path if isinstance(path, dict) else {}
        names = [pair.get(side) for side in sides(task)] if task.kind == "translation" else [path]
        known = [name for name in names if isinstance(name, str)]
        if len(known) < len(names):
            form = "{source: FILE, target: FILE}" if task.kind == "translation" else "one path"
            raise ValueError(f"task.corpus.files.{split} must be {form}, not {path}")
        found[split] = tuple(files.find(name, corpora) for name in known)
    if "all" not in found:

        def line(split: str, number: int) -> str:
            return f"{found[split][0]}, line {number + 2}"  # the first line names the columns

        return Corpus("files", tuple(found), lambda split: _file_items(task, found[split]), place=line)
    if len(found) > 1:
        raise ValueError(
            f"task.corpus.files gives `all` and {', '.join(s for s in found if s != 'all')}: give one or the other"
        )
    shares = task.corpus.fractions
    if not shares or min(shares.values()) <= 0 or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"task.corpus.fractions must be positive and sum to at most 1, not {shares}")

    def line_of_all(split: str, number: int) -> str:
        return f"{found['all'][0]}, line {_share(shares, split, len(_whole(task, found['all']))).start + number + 2}"

    return Corpus("files", tuple(shares), partial(_fraction, task, found["all"]), place=line_of_all)


def _file_items(task: TaskConfig, paths: tuple[Path, ...]) -> Iterator[Item]:
    if task.kind == "translation":
        return files.read_pairs(*paths)
    if task.kind == "classification":
        return files.read_labelled(paths[0], *(task.corpus.columns.get(side, side) for side in sides(task)))
    return iter([(files.read_text(paths[0]),)])


def _whole(task: TaskConfig, paths: tuple[Path, ...]) -> Any:
    """What fractions are of: the one text, or the list of items."""
    items = list(_file_items(task, paths))
    return items[0][0] if task.kind == "language_modeling" else items


def _share(shares: dict[str, float], split: str, length: int) -> slice:
    names = list(shares)
    place = names.index(split)
    low, high = (sum(shares[name] for name in names[:end]) for end in (place, place + 1))
    return slice(round(low * length, 6).__floor__(), round(high * length, 6).__floor__())


def _fraction(task: TaskConfig, paths: tuple[Path, ...], split: str) -> Iterator[Item]:
    """One split's share of a text in characters, or of a list of items."""
    whole = _whole(task, paths)
    part = whole[_share(task.corpus.fractions, split, len(whole))]
    return iter([(part,)] if task.kind == "language_modeling" else part)


def _hub_items(task: TaskConfig, split: str) -> Iterator[Item]:
    rows = hub.read_rows(task.corpus, split, sides(task))
    if task.kind == "translation":
        return (tuple(text.replace("\n", " ") for text in pair) for pair in rows)
    if task.kind == "classification":
        return (_labelled(task, split, number, row) for number, row in enumerate(rows, start=1))
    if task.corpus.rows == "lines":
        return iter([("".join(text.removesuffix("\n") + "\n" for (text,) in rows),)])
    return (row for row in rows if row[0].strip())


def _labelled(task: TaskConfig, split: str, number: int, row: tuple[str, ...]) -> Item:
    text, label = row
    if not label.strip():
        raise ValueError(f"row {number} of split {task.corpus.hub_splits[split]} of {task.corpus.hub} has no label")
    return text.replace("\n", " "), label.strip()
