"""Replicas without a cluster: real servers on loopback, whose reward waits as long as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.directory import Announcement
from rewardmesh.services.engine import RewardStatus
from rewardmesh.services.replica_server import ReplicaServer
from rewardmesh.services.replica_stream import ReplicaStream
from rewardmesh.services.replicas import Replicas

TOKEN = "open sesame"
STATUS = RewardStatus("patient", "1", "old", ("any",), ready=True)


def told(*words: str) -> list[Envelope]:
    return [Envelope.seal(Rollout(id=f"{i}", completion=word)) for i, word in enumerate(words)]


def parsed(verdicts: Sequence[Verdict]) -> list[str | None]:
    return [verdict.score.parsed if verdict.score else None for verdict in verdicts]


class Replica:
    """A replica that waits as many seconds as it is told, and notes what it began and what timeout it was given."""

    def __init__(self, digest: str = "old", name: str = "") -> None:
        self.name = name or digest
        self.status = replace(STATUS, digest=digest)
        self.began: list[str] = []
        self.ended: list[str] = []
        self.timeouts: list[float] = []
        self.address = ""
        self.server = ReplicaServer(self.score, TOKEN, self.name)

    async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        words = [envelope.open().completion for envelope in batch]
        self.began += words
        self.timeouts.append(timeout)
        for word in words:
            if word == "defect":
                raise KeyError(word)
            await asyncio.sleep(float(word.partition(" ")[0]))
        self.ended += words
        return [Verdict(e.id, Score(1.0, parsed=f"{self.name}: {w}")) for e, w in zip(batch, words, strict=True)]

    @property
    def announcement(self) -> Announcement:
        return Announcement(self.name, self.address, self.status)


@asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[None]:
    for replica in replicas:
        replica.address = await replica.server.start("127.0.0.1")
    try:
        yield
    finally:
        await asyncio.gather(*(replica.server.stop(0) for replica in replicas))


@asynccontextmanager
async def opened(replica: Replica) -> AsyncIterator[ReplicaStream]:
    async with running(replica):
        stream = await ReplicaStream.open(replica.address, TOKEN, replica.name, lambda: None)
        try:
            yield stream
        finally:
            await stream.close()


@asynccontextmanager
async def linked(*replicas: Replica, stream_seconds: float = 600.0, start: bool = True) -> AsyncIterator[Replicas]:
    """Replicas of a directory that lists them all, found and connected; started here unless they run already."""
    listed = list(replicas)

    async def listing() -> list[Announcement]:
        return [replica.announcement for replica in listed]

    async with running(*(replicas if start else ())):
        found = Replicas(listing, TOKEN, stream_seconds)
        found.start()
        try:
            for replica in replicas:
                async with asyncio.timeout(10):
                    while await found.choose("patient", replica.status.digest, 1) is None:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
            yield found
        finally:
            await found.close()


async def chosen(replicas: Replicas, digest: str = "old") -> ReplicaStream:
    stream = await replicas.choose("patient", digest, 5)
    assert stream is not None
    return stream
