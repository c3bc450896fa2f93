"""Text files, read by hand.

Readers made for tables swallow lines that open with a quotation mark, turn "null" into nothing and split at a lone
carriage return, so that two parallel files no longer fit together.
"""

import gzip
import os
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path


class MissingCorpusError(FileNotFoundError):
    """The text is not on this machine; the message says where it was looked for and what to type."""


def find(name: str, corpora: str | None) -> Path:
    """The file called `name`, absolute or under `corpora` (none: the working directory), packed with gzip or not.

    Raises: MissingCorpusError; ValueError for a relative name that leads elsewhere and for what is no ordinary file.
    """
    path = within(name, corpora or ".")
    if not path.exists():
        other = str(Path(name).with_suffix("")) if path.suffix == ".gz" else f"{name}.gz"
        packed = within(other, corpora or ".")
        if not packed.exists():
            raise MissingCorpusError(
                f"{name} was looked for at {path.absolute()} and is not there: type paths.corpora=FOLDER with the "
                "folder that holds it, or give an absolute path"
            )
        path = packed
    if not path.is_file():  # a pipe would be waited for without an end, and can be read once only
        raise ValueError(f"{path} is {'a folder' if path.is_dir() else 'a pipe or a device'}, not a file: name a file")
    return path


def within(name: str, folder: str) -> Path:
    """The path called `name`: an absolute one is taken as it is, any other stays in `folder`.

    Links in `folder` lead where they lead: who laid them there means them, and shared corpora are often kept so.
    Raises: ValueError for one that leaves it by "..", or has control characters in its name.
    """
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValueError(f"the name {name!r} holds a control character: rename the file, and check who wrote that name")
    given, home = Path(name).expanduser(), Path(folder).expanduser()
    if given.is_absolute():
        return given
    inside = Path(os.path.normpath(given))  # read as checked: ".." behind a link would be of the folder it leads to
    if inside.parts[:1] == ("..",):
        raise ValueError(
            f"{name} leads out of {home.absolute()}, to {os.path.normpath(home.absolute() / inside)}: give that "
            "absolute path if it is what you mean"
        )
    return home / inside


def read_text(path: Path) -> str:
    r"""The whole file as text: UTF-8, without byte-order mark, every line ended by "\n".

    Raises: ValueError for bytes that are not UTF-8 or are zero (with the line number), a damaged gzip file or one that
    unpacks to far more than text does, a file without text.
    """
    data = _unpacked(path) if path.suffix == ".gz" else path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not UTF-8: line {line} holds the byte 0x{data[error.start]:02x} ({error.reason}); "
            "convert the file, for instance with iconv"
        ) from None
    if (zero := data.find(0)) >= 0:
        raise ValueError(
            f"{path} is no text: line {data.count(10, 0, zero) + 1} holds a zero byte; convert the file if it is "
            "UTF-16, copy it again if it was cut off by a crash"
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise ValueError(f"{path} is empty: a corpus needs at least one line of text")
    return text


ROOM = 1 << 30  # bytes that any gzip file may unpack to
RATIO = 200  # a larger one: how many times its size (text: 3 to 10)


def _unpacked(path: Path) -> bytearray:
    limit = max(ROOM, RATIO * path.stat().st_size)
    data = bytearray()
    try:
        with gzip.open(path) as file:
            while part := file.read(1 << 22):
                data += part
                if len(data) > limit:
                    raise ValueError(
                        f"{path} unpacks to more than {limit:,} bytes, {RATIO} times its size, as no text does: unpack "
                        "it yourself and name the unpacked file if it is one"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file ({error}): copy it again") from None
    return data


def read_lines(path: Path) -> list[str]:
    r"""The file's lines, divided at "\n" and nowhere else."""
    lines = read_text(path).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_labelled(path: Path, text: str, label: str) -> Iterator[tuple[str, str]]:
    """Rows of a table as (text, label), from the columns of these names; the first line names all columns.

    Tabs separate columns and line ends rows; nothing is quoted, so every other character stands for itself.
    Raises: ValueError for a column that is not there, a row of another width, a row without a label (its line is told).
    """
    header, *lines = read_lines(path)
    columns = header.split("\t")
    for name in (text, label):
        if columns.count(name) != 1:
            raise ValueError(
                f"{path} has {columns.count(name) or 'no'} columns {name!r} among {', '.join(map(repr, columns))}: "
                "its first line must name the columns, with tabs between them; set task.corpus.columns.text and .label"
            )
    places = columns.index(text), columns.index(label)

    def row(number: int, line: str) -> tuple[str, str]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise ValueError(
                f"{path}, line {number} has {len(cells)} columns, not {len(columns)} as the first line has: "
                "put one tab between columns and none inside"
            )
        found, name = (cells[place] for place in places)
        if not name.strip():
            raise ValueError(f"{path}, line {number} has no label: give it one, or take the line out")
        return found, name.strip()

    return (row(number, line) for number, line in enumerate(lines, start=2))


def read_pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Line i of one file with line i of the other. Raises: ValueError where they differ in length."""
    source_lines, target_lines = read_lines(source), read_lines(target)
    if len(source_lines) != len(target_lines):
        raise ValueError(
            f"parallel files differ in length: {source} has {len(source_lines)} lines, {target} has "
            f"{len(target_lines)}; line i of one must be the translation of line i of the other"
        )
    return zip(source_lines, target_lines, strict=True)
