"""Cuts rollouts into messages that a server takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rewardmesh.contract.greeting import MessageLimits
from rewardmesh.contract.rollout import Rollout
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


def batch_of(rollouts: Mapping[int, pb.Rollout], overhead: int) -> Batch:
    """All of them in one, whatever its size."""
    return Batch(rollouts, overhead + sum(map(_bytes, rollouts.values())))


def by_group(rollouts: Sequence[Rollout]) -> Iterable[int]:
    """The places of the rollouts such that those of a group follow each other, groups in the order of their first."""
    if len({rollout.group for rollout in rollouts}) <= 1:  # mostly
        return range(len(rollouts))
    groups: dict[str | int, list[int]] = {}
    for place, rollout in enumerate(rollouts):
        groups.setdefault(rollout.group or place, []).append(place)
    return [place for places in groups.values() for place in places]


def split(rollouts: Iterable[tuple[int, pb.Rollout]], limits: MessageLimits, overhead: int) -> Iterator[Batch]:
    """Batches within the limits, in order.

    Rollouts of a group that follow each other stay in one batch if they fit in one. A rollout that is over the limits
    by itself comes alone in a batch that is.
    """
    batch: dict[int, pb.Rollout] = {}
    size = overhead
    for group, members in groupby(rollouts, key=lambda placed: placed[1].group):
        whole = [(place, rollout, _bytes(rollout)) for place, rollout in members] if group else None
        if whole and _over(len(batch) + len(whole), size + sum(more for _, _, more in whole), limits) and batch:
            yield Batch(batch, size)
            batch, size = {}, overhead
        for place, rollout, more in whole or ((place, rollout, _bytes(rollout)) for place, rollout in members):
            if batch and _over(len(batch) + 1, size + more, limits):
                yield Batch(batch, size)
                batch, size = {}, overhead
            batch[place] = rollout
            size += more
    if batch:
        yield Batch(batch, size)


def _bytes(rollout: pb.Rollout) -> int:
    return rollout.ByteSize() + FIELD_BYTES


def _over(rollouts: int, size: int, limits: MessageLimits) -> bool:
    return rollouts > limits.rollouts or size > limits.message_bytes
