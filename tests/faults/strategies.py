"""Inputs for each entry as hypothesis describes them; each draw is what the target's `read` is given."""

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.faults.entries.caches import Caches, resealed
from tests.faults.entries.checkpoints import Checkpoints, sealed_file
from tests.faults.entries.corpora import Corpora
from tests.faults.entries.overrides import RESOLVED, STRANGE, Overrides
from tests.faults.entries.records import Records

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
BYTES = st.binary(max_size=64)


def overrides(target: Overrides) -> st.SearchStrategy:
    """Lists of words; one in a hundred is composed whole."""
    value = st.recursive(
        st.sampled_from([*STRANGE, *(f"${{{name}}}" for name in RESOLVED), *target.values.values()])
        | st.text(max_size=8)
        | (st.integers() | st.floats() | st.booleans()).map(str),
        lambda inner: st.lists(inner, max_size=3).flatmap(
            lambda parts: st.sampled_from(["[{}]", "choice({})", "range({})", "{}", "{{a:{}}}"]).map(
                lambda form: form.format(",".join(parts))
            )
        ),
        max_leaves=4,
    )
    names = st.sampled_from(target.keys) | st.text(max_size=8)
    groups = st.sampled_from([f"{group}={name}" for group, files in target.groups.items() for name in files])
    word = st.builds("{}{}={}".format, st.sampled_from(["", "", "", "+", "++", "~"]), names, value)
    words = st.lists(word | groups | st.text(max_size=12), min_size=1, max_size=3)
    whole = st.sampled_from(range(target.WHOLE)).map(lambda number: number == target.WHOLE // 2)  # not at an end
    return BYTES.map(target.make) | st.tuples(words.map(_typed), whole, st.booleans())


def _typed(words: list[str]) -> list[str]:
    return [word.replace("\0", "").encode("utf-8", errors="replace").decode() for word in words]


def records(target: Records) -> st.SearchStrategy:
    """A record with anything at one of its keys, of its config or of a section of that; and bytes."""
    plain = target.plain
    places = [(key,) for key in plain] + [("config", key) for key in plain["config"]]
    places += [
        ("config", part, key) for part, inner in plain["config"].items() if isinstance(inner, dict) for key in inner
    ]

    raw = BYTES.map(lambda content: (content, "a" * 16))
    return BYTES.map(target.make) | st.builds(target.with_value, st.sampled_from(places), PLAIN) | raw


def checkpoints(target: Checkpoints) -> st.SearchStrategy:
    """What torch saves of anything, with a right checksum; and bytes."""
    import torch

    def saved(state: Any) -> tuple[bytes]:
        file = io.BytesIO()
        torch.save(state, file)
        return (sealed_file(file.getvalue()),)

    ours = PLAIN.map(lambda value: saved({"format": value, "signature": "a" * 16}))
    raw = BYTES.flatmap(lambda content: st.sampled_from([(content,), (sealed_file(content),)]))
    return BYTES.map(target.make) | PLAIN.map(saved) | ours | raw


def corpora(target: Corpora) -> st.SearchStrategy:
    """Text in several encodings, packed or not; and bytes."""
    text = st.builds(
        lambda text, encoding: text.encode(encoding, errors="replace"),
        st.text(st.characters() | st.sampled_from("\n\r\t\ufeff\u2028\u0085\0"), max_size=40),
        st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]),
    )
    table = text.map(lambda rows: b"text\tlabel\n" + rows)

    def packed(one: bytes, other: bytes, pack: bool) -> tuple[bytes, bytes, bool]:
        return (*(gzip.compress(part, 1) if pack else part for part in (one, other)), pack)

    either = text | table | BYTES
    return (
        BYTES.map(target.make)
        | st.builds(packed, either, either, st.booleans())
        | st.tuples(BYTES, BYTES, st.just(True))
    )


def caches(target: Caches) -> st.SearchStrategy:
    """A file of a prepared folder that is anything, with a manifest that agrees."""

    def put(case: int, number: int, content: bytes) -> tuple[int, dict[str, bytes]]:
        names = target.names(case)
        name = names[number % len(names)]
        return case, resealed(target.manifest(case), name, content)

    content = BYTES | PLAIN.map(json.dumps).map(str.encode) | PLAIN.map(lambda value: _symbols(value))
    return BYTES.map(target.make) | st.builds(put, st.integers(0, 3), st.integers(0, 20), content)


def _symbols(value: Any) -> bytes:
    return json.dumps({"kind": "words", "symbols": value}).encode()


STRATEGIES: dict[str, Callable[[Any], st.SearchStrategy]] = {
    "overrides": overrides,
    "record": records,
    "checkpoint": checkpoints,
    "corpora": corpora,
    "cache": caches,
}
