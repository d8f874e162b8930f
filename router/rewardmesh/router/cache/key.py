"""Keys of the score cache: all that a score depends on, and nothing else."""

from __future__ import annotations

import logging
import marshal
from collections.abc import Callable, Hashable
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Protocol, TypeAlias, cast

from rewardmesh.contract.envelope import Envelope, wire_fields
from rewardmesh.v1 import reward_pb2 as pb

Key: TypeAlias = tuple[Hashable, ...]
"""What tells the reward apart, then the fields it reads. Equal keys, equal inputs."""

# Longer texts and bytes (images, mostly) stand in a key as their digest, which takes longer than Python's own hash but
# keeps keys small. In characters or bytes.
LONG = 16 * 1024
NAME_PREFIX = b"rewardmesh:score:"

_Read: TypeAlias = Callable[[pb.Rollout], Hashable]
_Plan: TypeAlias = tuple[str, tuple[_Read, ...]]

log = logging.getLogger(__name__)


class Status(Protocol):
    """What a key needs to know of a hosted reward."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def cacheable(self) -> bool: ...
    @property
    def reads(self) -> tuple[str, ...]: ...
    @property
    def by_source(self) -> bool: ...


class Keys:
    """Makes keys. Remembers of each reward how."""

    def __init__(self) -> None:
        self._plans: dict[str, tuple[Status, _Plan]] = {}

    def key(self, envelope: Envelope, status: Status) -> Key | None:
        """The rollout's key; None where the reward is not cacheable."""
        if not status.cacheable:
            return None
        plan = self._plans.get(status.name)
        if plan is None or plan[0] is not status:
            found = _plan(status.name, status.version, status.digest, tuple(status.reads), status.by_source)
            plan = self._plans[status.name] = (status, found)
        prefix, reads = plan[1]
        if not reads:
            return None
        message = envelope.message
        return (prefix, *[read(message) for read in reads])


def redis_name(key: Key) -> bytes:
    """The name of a key in Redis: different for different keys, the same in every router on one version of Python."""
    # marshal writes types and lengths, so no two keys look alike; version 0 of it depends on the values alone.
    written = marshal.dumps(cast(Any, key), 0)
    return NAME_PREFIX + blake2b(written, digest_size=32).digest()


@lru_cache(1024)  # engines make a new status each time they are asked
def _plan(name: str, version: str, digest: str, reads: tuple[str, ...], by_source: bool) -> _Plan:
    """A reward's part of its keys, and how to read the rest; no way to read it where it has no keys."""
    own = ("source",) if by_source else ()
    try:
        # Without a completion there is no rollout: that must not be answered with the score of another.
        fields = wire_fields([*reads, "completion", *own])
    except ValueError as error:
        log.warning("reward %r is not cached: %s", name, error)
        return "", ()
    # One text: its hash is computed once.
    return repr((name, version, digest, fields)), tuple(map(_reader, fields))


def _reader(name: str) -> _Read:
    """Reads one field. Empty and absent differ, as a rollout without a completion is no rollout."""
    field = pb.Rollout.DESCRIPTOR.fields_by_name[name]
    get: Callable[[pb.Rollout], Any] = attrgetter(name)

    def text(message: pb.Rollout) -> Hashable:
        value = get(message)
        return value if len(value) <= LONG else _digest(value.encode())

    def optional_text(message: pb.Rollout) -> Hashable:
        value = get(message)
        if not value:
            return value if message.HasField(name) else None
        return value if len(value) <= LONG else _digest(value.encode())

    def optional_number(message: pb.Rollout) -> Hashable:
        return get(message) if message.HasField(name) else None

    def part(message: pb.Rollout) -> Hashable:
        value = _bytes(get(message))
        return value if value or message.HasField(name) else None

    def parts(message: pb.Rollout) -> Hashable:
        values = get(message)
        return tuple([_bytes(value) for value in values]) if values else ()

    if field.is_repeated:
        return parts
    if field.message_type is not None:
        return part
    if field.type == field.TYPE_STRING:
        return optional_text if field.has_presence else text
    return optional_number if field.has_presence else get


def _bytes(message: Any) -> Hashable:
    # Without `deterministic`, which takes twice as long: no message inside a rollout holds a map.
    value = message.SerializeToString()
    return value if len(value) <= LONG else _digest(value)


def _digest(value: bytes) -> Hashable:
    return (blake2b(value, digest_size=32).digest(),)  # in a tuple, so that it equals no value that is short
