"""How a score lies in Redis: a version, a checksum, the serialised Score. Nothing in it is executed.

Redis is shared, and anything may stand under our names; what is not wholly as written here is no score.
"""

from __future__ import annotations

from hashlib import blake2b

from google.protobuf.message import DecodeError

from rewardmesh.v1 import reward_pb2 as pb

VERSION = b"\x01"
_CHECKSUM_BYTES = 8
_START = len(VERSION) + _CHECKSUM_BYTES


def pack(name: bytes, score: bytes) -> bytes:
    """The value to keep under this name. The checksum covers the name too: a score must not be taken for another's."""
    return VERSION + _checksum(name, score) + score


def unpack(name: bytes, value: object) -> bytes | None:
    """The serialised score that `pack` put under this name; None for anything else."""
    if not isinstance(value, bytes) or value[: len(VERSION)] != VERSION:
        return None
    score = value[_START:]
    if value[len(VERSION) : _START] != _checksum(name, score):
        return None
    try:
        return score if 0.0 <= pb.Score.FromString(score).value <= 1.0 else None
    except DecodeError:
        return None


def _checksum(name: bytes, score: bytes) -> bytes:
    return blake2b(name + score, digest_size=_CHECKSUM_BYTES).digest()  # names have one length
