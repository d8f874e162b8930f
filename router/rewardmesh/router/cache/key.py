"""Keys of the score cache: all that a score depends on, and nothing else."""

from __future__ import annotations

import logging
import marshal
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import repeat
from operator import attrgetter
from typing import Any, Protocol, TypeAlias, cast

from rewardmesh.contract.envelope import Envelope, wire_fields
from rewardmesh.v1 import reward_pb2 as pb

Key: TypeAlias = tuple[Hashable, ...]
"""What tells the reward apart, then the fields it reads. Equal keys, equal inputs."""

# Longer texts and bytes (images, mostly) stand in a key as their digest, which takes several times as long as Python's
# own hash but keeps keys small. In characters or bytes. SHA-256, as processors have instructions for it.
LONG = 16 * 1024
NAME_PREFIX = b"rewardmesh:score:"

# Reads one field of many messages. A whole column at once: a call for each field of each rollout takes twice as long.
_Column: TypeAlias = Callable[[Sequence[pb.Rollout]], Iterable[Hashable]]

_HAS_PRESENCE = {field.name: field.has_presence for field in pb.Rollout.DESCRIPTOR.fields}
_dumps = cast(Callable[[Key, int], bytes], marshal.dumps)

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


def make_keys(envelopes: Sequence[Envelope], status: Status) -> list[Key] | None:
    """The rollouts' keys, in order; None where the reward is not cacheable."""
    if not status.cacheable:
        return None
    prefix, columns = _plan(status.name, status.version, status.digest, tuple(status.reads), status.by_source)
    if not columns:
        return None
    messages = [envelope.message for envelope in envelopes]
    return list(zip(repeat(prefix, len(messages)), *[column(messages) for column in columns], strict=True))


def redis_name(key: Key) -> bytes:
    """The name of a key in Redis: different for different keys, the same in every router on one version of Python."""
    # marshal writes types and lengths, so no two keys look alike; version 0 of it depends on the values alone.
    return NAME_PREFIX + sha256(_dumps(key, 0)).digest()


@lru_cache(1024)
def _plan(name: str, version: str, digest: str, reads: tuple[str, ...], by_source: bool) -> tuple[str, list[_Column]]:
    """A reward's part of its keys, and how to read the rest; no way to read it where it has no keys."""
    own = ("source",) if by_source else ()
    try:
        # Without a completion there is no rollout: that must not be answered with the score of another.
        fields = wire_fields([*reads, "completion", *own])
    except ValueError as error:
        log.warning("reward %r is not cached: %s", name, error)
        return "", []
    # One text: its hash is computed once.
    return repr((name, version, digest, fields)), [_column(field) for field in fields]


def _column(name: str) -> _Column:
    """Reads one field. Empty and absent differ: a rollout without a completion is no rollout."""
    field = pb.Rollout.DESCRIPTOR.fields_by_name[name]
    get: Callable[[pb.Rollout], Any] = attrgetter(name)
    if field.is_repeated:
        return lambda messages: [tuple(map(_written, parts)) if (parts := get(m)) else () for m in messages]
    if field.message_type is not None:
        return lambda messages: [_present(_written(get(m)), m, name) for m in messages]
    if field.type == field.TYPE_STRING:
        return lambda messages: [
            text if 0 < len(text := get(m)) <= LONG else _present(_short(text), m, name) for m in messages
        ]
    if field.has_presence:
        return lambda messages: [_present(get(m), m, name) for m in messages]
    return lambda messages: map(get, messages)


def _written(message: Any) -> Hashable:
    # Without `deterministic`, which takes twice as long: no message inside a rollout holds a map.
    data: bytes = message.SerializeToString()
    return data if len(data) <= LONG else _digest(data)


def _short(text: str) -> Hashable:
    return text if len(text) <= LONG else _digest(text.encode())


def _digest(value: bytes) -> Hashable:
    # In a tuple, so that it equals no value that is short.
    return (sha256(value).digest(),)


def _present(value: Hashable, message: Any, name: str) -> Hashable:
    """The value, or None if it is the default of an absent field."""
    return value if value or not _HAS_PRESENCE[name] or message.HasField(name) else None
