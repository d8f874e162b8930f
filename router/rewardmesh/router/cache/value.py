"""How a score lies in Redis: a version, a checksum, the serialised Score. Nothing in it is executed.

Redis is shared, and anything may come to stand under our names; what is not wholly as written here is no score. That
guards against accidents: who may write to Redis may also write scores.
"""

from __future__ import annotations

from zlib import crc32

VERSION = b"\x02"
_CHECKSUM_BYTES = 4
_START = len(VERSION) + _CHECKSUM_BYTES


def pack(name: bytes, score: bytes) -> bytes:
    """The value to keep under this name. The checksum covers the name too: a score must not be taken for another's."""
    return VERSION + crc32(score, crc32(name)).to_bytes(_CHECKSUM_BYTES) + score


def unpack(name: bytes, value: object) -> bytes | None:
    """The serialised score that `pack` put under this name; None for anything else."""
    if not isinstance(value, bytes):
        return None
    score = value[_START:]
    return score if value == pack(name, score) else None
