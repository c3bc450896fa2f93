"""What tests over sentences and blocks of text need of a run, as text short enough for its record.

An array is packed as zlib over the CRC-32 of what follows, its dtype, its shape and its little-endian bytes, in base
85, which JSON takes as it is. Zlib's own checksum, Adler-32, misses some wrong characters of a short text.
"""

import base64
import zlib

import numpy as np

DTYPES = ("|u1", "<i2", "<i4", "<f4")


def pack(array: np.ndarray) -> str:
    """The array as text, the same for equal arrays; `unpack` is the inverse.

    Raises ValueError for a dtype other than uint8, int16, int32 and float32.
    """
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if plain.dtype.str not in DTYPES:
        raise ValueError(f"units of {array.dtype} cannot be packed: convert them to uint8, int16, int32 or float32")
    whole = f"{plain.dtype.str} {','.join(map(str, array.shape))}\n".encode() + plain.tobytes()
    return base64.b85encode(zlib.compress(_checksum(whole) + whole, 9)).decode()


def unpack(text: str) -> np.ndarray:
    """The array that was packed. Raises ValueError where the text is not whole."""
    try:
        stream, packed = zlib.decompressobj(), base64.b85decode(text)
        if base64.b85encode(packed).decode() != text:  # the last character says more than the bytes that are left
            raise ValueError("its last character is wrong")
        plain = stream.decompress(packed)
        if not stream.eof or stream.unused_data:
            raise ValueError("too short" if not stream.eof else "too long")
        checksum, whole = plain[:4], plain[4:]
        if checksum != _checksum(whole):
            raise ValueError("wrong checksum")
        head, _, body = whole.partition(b"\n")
        dtype, shape = head.decode().split(" ")
        if dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}")
        return np.frombuffer(body, dtype).reshape([int(side) for side in shape.split(",")]).copy()
    except (ValueError, AttributeError, TypeError, zlib.error) as damage:
        raise ValueError(f"packed units cannot be read ({damage}): restore the record, or run again") from None


def pack_all(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Each array packed."""
    return {name: pack(array) for name, array in arrays.items()}


def _checksum(whole: bytes) -> bytes:
    return zlib.crc32(whole).to_bytes(4, "little")
