"""Text files, read by hand.

Readers made for tables swallow lines that open with a quotation mark, turn "null" into nothing and split at a lone
carriage return, so that two parallel files no longer fit together.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path


class MissingCorpusError(FileNotFoundError):
    """The text is not on this machine; the message says where it was looked for and what to type."""


def find(name: str, corpora: str | None) -> Path:
    """The file called `name`, absolute or under `corpora` (none: the working directory), packed with gzip or not.

    Raises: MissingCorpusError.
    """
    path = Path(name).expanduser()
    path = path if path.is_absolute() else Path(corpora or ".").expanduser() / path
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    for candidate in (path, other):
        if candidate.is_file():
            return candidate
    raise MissingCorpusError(
        f"{name} was looked for at {path.absolute()} and is not there: type paths.corpora=FOLDER with the folder that "
        "holds it, or give an absolute path"
    )


def read_text(path: Path) -> str:
    r"""The whole file as text: UTF-8, without byte-order mark, every line ended by "\n".

    Raises: ValueError for bytes that are not UTF-8 (with the line number), a damaged gzip file, a file without text.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is not a whole gzip file ({error}): copy it again") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not UTF-8: line {line} holds the byte 0x{data[error.start]:02x} ({error.reason}); "
            "convert the file, for instance with iconv"
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise ValueError(f"{path} is empty: a corpus needs at least one line of text")
    return text


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
