"""What a router tells of itself in the initial metadata of every call, before it has read a message of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

VERSION_KEY = "rewardmesh-version"  # a client tells its own version under this key too
MESSAGE_BYTES_KEY = "rewardmesh-message-bytes"
ROLLOUTS_KEY = "rewardmesh-rollouts"


class MessageLimits(NamedTuple):
    """How large a message may be. The defaults are a router's, and hold until it has told its own.

    Attributes:
        message_bytes: Bytes of a serialised message.
        rollouts: Rollouts in it.
    """

    message_bytes: int = 16 * 2**20
    rollouts: int = 1024


_DEFAULT = MessageLimits()


@dataclass(frozen=True, slots=True)
class Greeting:
    """A router's first words: its version (empty when it does not say) and its limits."""

    version: str = ""
    limits: MessageLimits = _DEFAULT

    def to_metadata(self) -> tuple[tuple[str, str], ...]:
        """As gRPC's initial metadata."""
        return (
            (VERSION_KEY, self.version),
            (MESSAGE_BYTES_KEY, str(self.limits.message_bytes)),
            (ROLLOUTS_KEY, str(self.limits.rollouts)),
        )

    @classmethod
    def from_metadata(cls, metadata: Iterable[tuple[str, str | bytes]]) -> Greeting:
        """From gRPC's initial metadata. What is missing, or is no number, is at its default."""
        told = dict(metadata)
        message_bytes = _number(told, MESSAGE_BYTES_KEY, _DEFAULT.message_bytes)
        rollouts = _number(told, ROLLOUTS_KEY, _DEFAULT.rollouts)
        return cls(str(told.get(VERSION_KEY, "")), MessageLimits(message_bytes, rollouts))


def _number(told: Mapping[str, str | bytes], key: str, default: int) -> int:
    try:
        number = int(told[key])
    except (KeyError, ValueError):
        return default
    return number if number > 0 else default
