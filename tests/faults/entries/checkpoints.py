"""Checkpoints: archives with a pickle in them."""

import hashlib
import io
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

from tests.faults.mutants import Draw, altered


class Checkpoints:
    """`checkpoint.load`, with a right checksum mostly: only then does torch see the bytes."""

    def __init__(self, folder: Path):
        import torch

        from ablations import checkpoint

        self._file = folder / "checkpoint-7.pt"
        state = {
            "signature": "a" * 16,
            "step": 7,
            "model": {"weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2).bfloat16()},
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
            "curve": [{"step": 1, "loss": 2.5}, None, True, ("x", 2**40)],
        }
        checkpoint.save(self._file, state)
        self._whole = self._file.read_bytes()
        self._body = self._whole[: self._whole.rindex(b"\nsha256 ")]
        with zipfile.ZipFile(io.BytesIO(self._body)) as archive:
            self._entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
        assert self.read(sealed_file(self._body)) is not None
        assert self.read(sealed_file(_packed(self._entries))) is not None, "so entries may be changed"

    def make(self, data: bytes) -> tuple[bytes]:
        draw = Draw(data)
        match draw.below(8):
            case 0:
                return (altered(draw, self._whole),)
            case 1:
                return (sealed_file(altered(draw, self._body)),)
            case 2:
                return (sealed_file(draw.rest()),)
            case 3 | 4:
                return (sealed_file(_packed(self._mixed(draw))),)
            case _:
                return (sealed_file(_packed(self._repickled(draw))),)

    def read(self, content: bytes) -> Any:
        """One checkpoint with this in it."""
        from ablations import checkpoint

        self._file.write_bytes(content)
        return checkpoint.load(self._file, "a" * 16)

    def _mixed(self, draw: Draw) -> list[tuple[str, bytes]]:
        """Entries left out, under another's name or a strange one, with another's content, doubled or altered."""
        entries = list(self._entries)
        for _ in range(1 + draw.below(3)):
            if not entries:
                break
            at, other = draw.below(len(entries)), draw.below(len(entries))
            name, content = entries[at]
            match draw.below(6):
                case 0:
                    del entries[at]
                case 1:
                    entries[at] = entries[other][0], content
                case 2:
                    entries[at] = name, entries[other][1]
                case 3:
                    entries[at] = name, altered(draw, content)
                case 4:
                    entries[at] = draw.choice(("../../evil", "/evil", "archive/", "data.pkl", draw.text())), content
                case 5:
                    entries.insert(other, (name, altered(draw, content)))
        return entries

    def _repickled(self, draw: Draw) -> list[tuple[str, bytes]]:
        """With other opcodes in data.pkl: calls of functions, classes that are built, states that are set."""
        entries = list(self._entries)
        at = next(place for place, (name, _) in enumerate(entries) if name.endswith("data.pkl"))
        name, program = entries[at]
        starts = [place for _, _, place in pickletools.genops(program) if place is not None]
        for _ in range(1 + draw.below(3)):
            place = starts[draw.below(len(starts))]
            if draw.one_in(3):
                program = program[:place] + altered(draw, program[place:])
            else:
                gadget = draw.choice(GADGETS)
                size = 0 if draw.one_in(2) else len(gadget)
                program = program[:place] + gadget + program[place + size :]
        entries[at] = name, program
        return entries


def sealed_file(body: bytes) -> bytes:
    """With the last line that `checkpoint.save` would give it."""
    return body + f"\nsha256 {hashlib.sha256(body).hexdigest()}\n".encode()


def _packed(entries: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two entries with one name: they are meant
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name.encode(errors="replace").decode()), content)
    return file.getvalue()


def _call(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n(X".encode() + len(argument).to_bytes(4, "little") + argument.encode() + b"tR"


# Pieces of pickle programs; each leaves one value on the stack.
GADGETS = (
    _call("os", "system", "touch /tmp/executed"),
    _call("posix", "system", "touch /tmp/executed"),
    _call("builtins", "exec", "raise SystemExit"),
    _call("builtins", "eval", "1/0"),
    _call("builtins", "open", "/tmp/executed"),
    _call("subprocess", "Popen", "true"),
    _call("torch", "load", "checkpoint-7.pt"),
    _call("torch.storage", "_load_from_bytes", "x"),
    _call("torch._utils", "_rebuild_tensor_v2", "x"),
    _call("collections", "OrderedDict", "x"),
    _call("torch", "device", "cuda:7"),
    _call("torch", "Size", "x"),
    _call("_codecs", "encode", "x"),
    b"ctorch._utils\n_rebuild_parameter\n)R",
    b"ctorch\nFloatStorage\n",
    b"ctorch.serialization\n_get_layout\n(X\x01\x00\x00\x00xtR",
    b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00xK\x01sb",
    b"ccollections\nOrderedDict\n)\x81",
    b"ccollections\nCounter\n(}tR",
    *(
        b"\x8a\xff",
        b"I1e400\n",
        b"Fnan\n",
        b"K\x01Q",
        b"h\xff",
        b"r\xff\xff\xff\xff",
        b"(" * 2000,
        b"]" * 2000 + b"a" * 1999,
    ),
    *(b"N", b"0", b"(", b".", b"]", b"}", b"a", b"s", b"u"),
)
