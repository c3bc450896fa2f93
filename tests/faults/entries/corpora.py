"""Corpora: files that other people wrote."""

import gzip
from pathlib import Path

from tests.faults.mutants import Draw, altered


class Corpora:
    """The readers of `data.files`, on files as they are and packed."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._text = "text\tlabel\nein Hund\tgood\nzwei Katzen é\tbad\n\u2028\tbad\n".encode()
        self.read(self._text, self._text, packed=False)
        self.read(gzip.compress(self._text), gzip.compress(self._text), packed=True)

    def make(self, data: bytes) -> tuple[bytes, bytes, bool]:
        draw = Draw(data)
        packed, kind = draw.one_in(2), draw.below(4)
        one = self._text if kind == 0 else draw.rest() if kind == 1 else altered(draw, self._text)
        if packed:
            one = gzip.compress(one, compresslevel=1, mtime=0)
            if draw.one_in(2) or kind == 0:
                one = altered(draw, one)
        other = one if draw.one_in(2) else altered(draw, one)
        return one, other, packed

    def read(self, one: bytes, other: bytes, packed: bool) -> None:
        """Two files, by each of the readers. Raises what the first of them raises."""
        from data import files

        first, second = (self._folder / f"{name}{'.gz' if packed else ''}" for name in ("one", "other"))
        first.write_bytes(one)
        second.write_bytes(other)
        refused = None
        for read in (self._text_and_lines, self._rows):
            try:
                read(first)
            except ValueError as error:
                refused = refused or error
        try:
            pairs = list(files.read_pairs(first, second))
        except ValueError as error:
            refused = refused or error
        else:
            assert [a for a, _ in pairs] == files.read_lines(first) and [b for _, b in pairs] == files.read_lines(
                second
            )
        if refused is not None:
            raise refused

    @staticmethod
    def _text_and_lines(file: Path) -> None:
        from data import files

        text, lines = files.read_text(file), files.read_lines(file)
        assert text.removesuffix("\n") == "\n".join(lines) and text.strip()
        assert not any("\n" in line for line in lines)

    @staticmethod
    def _rows(file: Path) -> None:
        from data import files

        rows = list(files.read_labelled(file, "text", "label"))
        assert len(rows) == len(files.read_lines(file)) - 1 and all(label for _, label in rows)
