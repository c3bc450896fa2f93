"""What tables need of a study's records, remembered: ten thousand files are not read again because one is new.

`<results>/work/index/<study>` is a help and no evidence: it can be deleted at any time, and whatever is wrong with it,
it is made anew. It is written whole, so that two processes cannot harm it; where it cannot be written all goes on
without. An entry holds while a scan of the folder finds the file's name, size and times unchanged and the code that
checked it is the same.

The first line has a digest of the others. Then dicts that records have in common, each once, one a line; in them
{"": 7} stands for the dict of line 7. Then a line for each record.
"""

import functools
import gc
import hashlib
import io
import json
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ablations.files import whole_file
from ablations.record import halves
from ablations.record.file import check_keys, ending, load_signed
from ablations.record.parts import Signer, cut, cut_config, encode, parsed, validations, without_seed
from ablations.record.seal import unseal

Record = dict[str, Any]
Entry = tuple[int, dict[str, Any], dict[str, Any], str]  # line of what is common, config's seed, a run's own, as text
# Size, then when the content and when anything about the file changed last, in ns; None for what is no file.
Stamp = list[int] | None
# Of a record, what a brief has: common to many runs, and a run's own.
COMMON = ("strategy", "sites", "task", "kind", "config", "signed", "data", "budget", "claims", "machine")
OWN = ("signature", "seed", "status", "reason", "training", "scores", "started", "finished", "decoding", "validations")
# A file may change twice within a step of the clock that stamps it: up to 2 s on some file systems. One that changed
# so shortly before it was read is read again the next time.
MOMENT = 2 * 10**9
CODE = ("identity.py", "seal.py", "file.py", "parts.py", "index.py", "../../data/config.py")


def read(results: str | Path, study: str, endings: Collection[str] | None = None) -> list[tuple[str, Record]]:
    """The names of a study's files, in order, with their briefs (see `folder.briefs`).

    `endings`: only those whose names end in one of these signatures. Raises ValueError naming a file that is no record.
    """
    folder, file = Path(results) / "records" / study, Path(results) / "work" / "index" / study
    now, stamps = time.time_ns(), scan(folder)
    wanted = sorted(name for name in stamps if endings is None or ending(name) in endings)
    if not wanted:
        return []
    for name in wanted:
        if stamps[name] is None:
            load_signed(folder / name)  # says what is wrong with it
    collecting = gc.isenabled()
    gc.disable()  # so many dicts, and none of them garbage: looking through them doubles the time
    try:
        known = _Index(file, stamps)
        try:
            known.read_ahead(folder, wanted)
            return [(name, known.brief(folder, name)) for name in wanted]
        finally:
            known.save(now)
    finally:
        if collecting:
            gc.enable()


def scan(folder: Path) -> dict[str, Stamp]:
    """Name -> stamp of the records in a folder, without opening one."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: _stamp(entry) for entry in entries if entry.name.endswith(".json")}


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        found = entry.stat()
    except OSError:  # a link to nowhere
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns] if stat.S_ISREG(found.st_mode) else None


class _Index:
    """The entries that still hold, and those that are added."""

    def __init__(self, file: Path, stamps: dict[str, Stamp]) -> None:
        self.file, self.stamps = file, stamps
        self.common, self.rows = _open(file)
        self.known = {line: number for number, line in enumerate(self.common)}
        self.dicts: list[dict[str, Any]] = []
        self.alike: dict[tuple[str | None, ...], tuple[int, Signer]] = {}  # by the texts of what records have in common
        self.texts: dict[str, Any] = {}
        self.sections: dict[str, Any] = {}  # of identities, by their text
        self.folded: dict[int, tuple[dict[str, Any], int]] = {}  # by the number of an object: it, and its line
        for plain in _read_lines(self.common):
            self.dicts.append({k: self.dicts[v[""]] if isinstance(v, dict) else v for k, v in plain.items()})
        rows = _read_lines(self.rows)
        self.entries = {
            row[0]: (row, line) for row, line in zip(rows, self.rows, strict=True) if stamps.get(row[0]) == row[1]
        }

    def brief(self, folder: Path, name: str) -> Record:
        """Of one file, from its entry where that holds."""
        if name not in self.entries:
            self._enter(name, *(self._cut(f"{folder}/{name}") or self._load(folder / name)))
        _, _, common, seed, own = self.entries[name][0]
        shared = self.dicts[common]
        return {**shared, **own, "config": {**shared["config"], **seed}, "study": folder.name}

    def _enter(self, name: str, common: int, seed: dict[str, Any], own: dict[str, Any], text: str) -> None:
        stamp = self.stamps[name]
        line = f"[{encode(name)},{stamp},{common},{encode(seed)},{text}]"
        self.entries[name] = [name, stamp, common, seed, own], line

    def read_ahead(self, folder: Path, names: list[str]) -> None:
        """Reads what is new on two cores, where there is much of it; what is wrong with a record is not said yet."""
        new = [name for name in names if name not in self.entries]
        if not halves.worth_it(len(new)):
            return
        base, half = len(self.common), len(new) // 2

        def ours() -> None:
            self._read_all(folder, new[:half])

        def theirs() -> tuple[list[str], list[tuple[str, int, dict[str, Any], str]]]:
            found = self._read_all(folder, new[half:])
            return self.common[base:], [(name, common, seed, text) for name, (common, seed, _, text) in found.items()]

        found = halves.both(ours, theirs)
        if found is not None:
            self._take(base, *found)

    def _read_all(self, folder: Path, names: list[str]) -> dict[str, Entry]:
        """Enters and returns those that can be cut."""
        found = {}
        for name in names:
            entry = self._cut(f"{folder}/{name}")
            if entry is not None:
                found[name] = entry
                self._enter(name, *entry)
        return found

    def _take(self, base: int, lines: list[str], entries: list[tuple[str, int, dict[str, Any], str]]) -> None:
        """Enters what a fork has found: lines of dicts from number `base` on, and entries that name them."""
        here: dict[int, int] = {}
        for number, line in enumerate(lines, base):
            plain = json.loads(line)
            named: dict[str, int] = {key: item[""] for key, item in plain.items() if isinstance(item, dict)}
            inside = {key: here.get(other, other) for key, other in named.items()}
            here[number] = self._line(plain, inside)
        for name, common, seed, text in entries:
            self._enter(name, here.get(common, common), seed, parsed(text), text)

    def _cut(self, file: str) -> Entry | None:
        """Reads what a brief needs of a record, and of that what no other record has. None where it must be loaded.

        The rest is parsed too, and let go: only then is it known that the text was cut where its parts end.
        """
        try:
            parts = cut(_text(file))
            if parts is None:
                return None
            config, seed = without_seed(parts["config"])
            apart = {key: parsed(value) for key, value in parts.items() if key not in COMMON}
            watched = validations(apart.get("curve"))
            own = {key: apart[key] for key in OWN if key in apart} | {"validations": watched}
            text = _object({key: parts[key] for key in own if key in parts} | {"validations": encode(watched)})
            alike = (config, *[parts.get(key) for key in COMMON if key != "config"])
            if alike not in self.alike:
                sections = cut_config(parts["config"])
                if sections.pop("seed") != seed:
                    return None
                plain = {key: self._read(value) for key, value in sections.items()}
                common = {key: self._read(parts[key]) for key in COMMON if key in parts and key != "config"}
                signer = Signer({**plain, "seed": int(seed)}, self.sections)
                self.alike[alike] = self._fold({**common, "config": plain, "signed": signer.identity}), signer
            number, signer = self.alike[alike]
            check_keys({**self.dicts[number], **apart}, file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            return None  # whoever loads it knows what to say of it
        if not own["signature"] == signer.sign(seed) == ending(str(file)):
            return None
        return number, {"seed": int(seed)}, own, text

    def _read(self, text: str) -> Any:
        """What a text says: one object for all that say it."""
        if text not in self.texts:
            self.texts[text] = parsed(text)
        return self.texts[text]

    def _load(self, file: Path) -> Entry:
        record, signed = load_signed(file)
        signed.pop("seed", None)  # with it, all runs would differ
        seed = {"seed": record["config"].pop("seed")} if "seed" in record["config"] else {}
        own = {key: record[key] for key in OWN if key in record} | {"validations": validations(record.get("curve"))}
        common = {key: value for key, value in {**record, "signed": signed}.items() if key in COMMON}
        return self._fold(common), seed, own, encode(own)

    def _fold(self, value: dict[str, Any]) -> int:
        """The number of the line that this dict has, in which each dict inside is the number of its own."""
        if id(value) in self.folded:
            return self.folded[id(value)][1]
        inside = {key: self._fold(item) for key, item in value.items() if isinstance(item, dict)}
        number = self._line(value, inside)
        self.folded[id(value)] = value, number  # kept, so that no other object comes by its number
        return number

    def _line(self, value: dict[str, Any], inside: dict[str, int]) -> int:
        """The number of a dict's line; `inside`: of the dicts in it."""
        line = encode({key: {"": inside[key]} if key in inside else item for key, item in value.items()})
        if line not in self.known:
            self.known[line] = len(self.common)
            self.common.append(line)
            self.dicts.append({key: self.dicts[inside[key]] if key in inside else item for key, item in value.items()})
        return self.known[line]

    def save(self, now: int) -> None:
        """Writes what would spare the next reader work; `now`, in ns, is before the folder was scanned."""
        stamped = [(row[1], line) for row, line in self.entries.values() if row[1] is not None]
        rows = [line for (_, *times), line in stamped if max(times) < now - MOMENT]
        if rows == self.rows:
            return
        body = "\n".join([str(len(self.common)), *self.common, *rows]).encode()
        try:
            with whole_file(self.file, "wb") as file:
                file.write(_head(body) + b"\n" + body)
        except OSError:
            pass  # a folder that is not ours to write to, or a full disk


def _text(file: str) -> str:
    with io.FileIO(file) as opened:
        return unseal(opened.readall())


def _object(parts: dict[str, str]) -> str:
    """In one line: a line break is between words, never in them."""
    return ("{" + ",".join([f'"{key}":{value}' for key, value in parts.items()]) + "}").replace("\n", "")


def _open(file: Path) -> tuple[list[str], list[str]]:
    """The lines of dicts and those of records; none where there is no index or something is wrong with it."""
    try:
        head, _, body = file.read_bytes().partition(b"\n")
    except OSError:
        return [], []
    if head != _head(body):
        return [], []
    count, *lines = body.decode().split("\n")
    common, rows = lines[: int(count)], lines[int(count) :]
    return (common, rows) if len(common) < 100 * len(rows) else ([], [])  # mostly of files that are gone


def _read_lines(lines: list[str]) -> list[Any]:
    return json.loads(f"[{','.join(lines)}]")


@functools.cache
def _code() -> bytes:
    """Digest of what checks a record and says who it is: under other rules nothing that was found before holds."""
    here = Path(__file__).resolve().parent
    return hashlib.sha256(b"\0".join((here / name).read_bytes() for name in CODE)).hexdigest()[:16].encode()


def _head(body: bytes) -> bytes:
    return _code() + b" " + hashlib.sha256(body).hexdigest().encode()
