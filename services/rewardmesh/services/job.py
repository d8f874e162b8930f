"""A rollout to be scored in a worker, for all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.places import Judged
from rewardmesh.v1 import reward_pb2 as pb

# Jobs given to a worker at once: enough to hide the pipe, few enough that workers share a batch evenly.
CHUNK = 16


class Job:
    """A rollout, what a worker is told of it, and what became of it.

    Attributes:
        envelope: The rollout; of several that are the same to the reward, the first.
        inputs: The serialised message, but for fields the reward does not read.
        key: Equal for rollouts that are the same to the reward.
        kin: Equal for rollouts that one worker should have, which then reads their reference once: those with the same
            reference, or of the same group where there is none.
        done: Its outcome.
        waiting: How many wait for it. Where nobody does, it need not be done.
    """

    __slots__ = ("done", "envelope", "inputs", "key", "kin", "waiting")

    def __init__(self, envelope: Envelope, inputs: bytes, key: object) -> None:
        message = envelope.message
        self.envelope = envelope
        self.inputs = inputs
        self.key = key
        reference = message.reference.SerializeToString() if message.HasField("reference") else b""
        self.kin = hash(reference or message.group or inputs)
        self.done: asyncio.Future[Judged] = asyncio.get_running_loop().create_future()
        self.waiting = 0

    def payload(self) -> bytes:
        """The serialised Rollout for the worker. It is told the id, so that what a reward logs can be found again."""
        return pb.Rollout(id=self.envelope.id).SerializeToString() + self.inputs  # messages in a row are merged

    def finish(self, judged: Judged) -> None:
        """Tells all who wait."""
        if not self.done.done():
            self.done.set_result(judged)


def chunks(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """The jobs in chunks of about this size. Kin stay together, up to a whole CHUNK of them."""
    families: dict[int, list[Job]] = {}
    for job in jobs:
        families.setdefault(job.kin, []).append(job)
    found: list[list[Job]] = []
    for family in families.values():
        for start in range(0, len(family), CHUNK):
            part = family[start : start + CHUNK]
            if found and len(found[-1]) + len(part) <= size:
                found[-1].extend(part)
            else:
                found.append(part)
    return found
