"""The last line of a record: the checksum of all that stands before it.

A signature speaks for the config alone. Scores, curve and sums of sentences are what tables are made of, and a bit
that turned or a number that was edited would reach them as any other.
"""

import hashlib

BEFORE, AFTER = b',\n "checksum": "', b'"\n}\n'
LENGTH = len(BEFORE) + hashlib.sha256().digest_size * 2 + len(AFTER)


def seal(text: str) -> str:
    """The text of a JSON object with its checksum as its last line; it is of the bytes before that line's comma."""
    body = text.rstrip().removesuffix("}").rstrip().encode()
    return (body + _end(body)).decode()


def unseal(content: bytes) -> str:
    """The text without its last line. Raises ValueError where that does not fit what stands before it, or is not there.

    What is not UTF-8 is a ValueError, too.
    """
    body = content[:-LENGTH]
    if content[-LENGTH:] != _end(body):
        raise ValueError("its content is not what its checksum says")
    return body.decode() + "\n}\n"


def _end(body: bytes) -> bytes:
    return BEFORE + hashlib.sha256(body).hexdigest().encode() + AFTER
