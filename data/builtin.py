"""Text that every installation has: real English without a download."""

import hashlib


def python_docs() -> dict[str, list[str]]:
    """The language reference that `help()` prints in the running interpreter, one document a topic.

    Many topics stand inside a longer one ("if" in "compound"): those are left out, or evaluation text would be
    training text; in Python 3.11 that leaves 56 topics, 373 kB. They are dealt out by the digest of their names, about
    5 % of the characters each to valid and test. The text differs a little between Python releases; the content digest
    in every record tells them apart.
    """
    from pydoc_data.topics import topics

    kept: dict[str, str] = {}
    seen: set[str] = set()
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        paragraphs = {part.strip() for part in topics[name].split("\n\n") if len(part.strip()) > 30}
        if len(paragraphs & seen) <= 0.2 * len(paragraphs):
            kept[name] = topics[name]
            seen |= paragraphs
    room = 0.05 * sum(map(len, kept.values()))
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    sizes = dict.fromkeys(splits, 0)
    for name in sorted(kept, key=lambda name: hashlib.sha256(name.encode()).digest()):
        length = len(kept[name])
        split = next(
            (s for s in ("test", "valid") if sizes[s] < 0.9 * room and sizes[s] + length <= 1.2 * room), "train"
        )
        splits[split].append(kept[name])
        sizes[split] += length
    return splits


BUILTIN = {"python_docs": python_docs}
