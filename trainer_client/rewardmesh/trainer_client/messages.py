"""Cuts rollouts into messages that a server takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.v1 import reward_pb2 as pb

FIELD_BYTES = 6  # what a repeated field adds to a rollout: its tag and a length of up to 5 bytes


class Batch(NamedTuple):
    """Rollouts of one message by their place among all, and the bytes of that message, at most."""

    rollouts: Mapping[int, pb.Rollout]
    size: int


def overhead(pins: Mapping[str, str]) -> int:
    """The bytes of a message without its rollouts, at most: the id, the timeout and the pins."""
    options = pb.ScoreOptions(timeout_seconds=1.0, pins=pins)
    bare = pb.StreamRequest(score=pb.ScoreRequest(id=2**64 - 1, options=options))
    return bare.ByteSize() + FIELD_BYTES  # its own length takes up to 5 bytes too


def split(rollouts: Iterable[tuple[int, pb.Rollout]], limits: MessageLimits, overhead: int) -> Iterator[Batch]:
    """Batches within the limits, in order. A rollout that is over them by itself comes alone in a batch that is."""
    batch: dict[int, pb.Rollout] = {}
    size = overhead
    for place, rollout in rollouts:
        more = rollout.ByteSize() + FIELD_BYTES
        if batch and (len(batch) == limits.rollouts or size + more > limits.message_bytes):
            yield Batch(batch, size)
            batch, size = {}, overhead
        batch[place] = rollout
        size += more
    if batch:
        yield Batch(batch, size)
