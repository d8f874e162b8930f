"""Streams between a router and replicas: real servers on loopback, no cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.directory import Announcement
from rewardmesh.services.engine import RewardStatus
from rewardmesh.services.replica_server import ReplicaServer
from rewardmesh.services.replica_stream import ReplicaStream, ReplicaUnreachableError, StreamLostError
from rewardmesh.services.replica_wire import score_bytes
from rewardmesh.services.replicas import MAX_BATCHES, Replicas
from rewardmesh.v1 import reward_pb2 as pb

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
async def linked(*replicas: Replica, stream_seconds: float = 600.0) -> AsyncIterator[Replicas]:
    """Replicas of a directory that lists them all, found and connected."""
    listed = list(replicas)

    async def listing() -> list[Announcement]:
        return [replica.announcement for replica in listed]

    async with running(*replicas):
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


def test_a_batch_is_the_message_that_protobuf_would_write() -> None:
    batch = told("a", "b" * 200, "", "c" * 20_000)
    request = pb.ScoreRequest.FromString(score_bytes(7, batch, 1.5))
    assert list(request.rollouts) == [envelope.message for envelope in batch]
    assert (request.id, request.options.timeout_seconds) == (7, 1.5)


async def test_answers_overtake_each_other_and_find_their_callers() -> None:
    async with opened(Replica()) as stream:
        batches = [told(f"{seconds} {i}") for i, seconds in enumerate((0.2, 0.0, 0.1, 0.0))]
        done: list[int] = []

        async def call(number: int) -> list[str | None]:
            verdicts = await stream.score(batches[number], 5)
            done.append(number)
            return parsed(verdicts)

        answers = await asyncio.gather(*(call(i) for i in range(4)))
        assert answers == [["old: 0.2 0"], ["old: 0.0 1"], ["old: 0.1 2"], ["old: 0.0 3"]]
        assert done[2:] == [2, 0]
        assert (stream.rollouts, stream.batches) == (0, 0)


async def test_the_deadline_travels_and_a_large_batch_is_carried() -> None:
    replica = Replica()
    async with opened(replica) as stream:
        large = told(*(f"0 {'x' * 250_000}" for _ in range(64)))  # 16 MB, over gRPC's own limit of 4
        assert len(await stream.score(large, 3.5)) == 64
        assert replica.timeouts == [3.5]


async def test_a_defect_is_a_failure_of_its_batch_and_the_stream_goes_on() -> None:
    async with opened(Replica()) as stream:
        [verdict] = await stream.score(told("defect"), 5)
        assert verdict.failure is not None
        assert verdict.failure.kind == "reward_error"
        assert parsed(await stream.score(told("0"), 5)) == ["old: 0"]


@pytest.mark.parametrize("token", ["", "open sesam", "open sesame!", "OPEN SESAME"])
async def test_a_wrong_token_is_refused(token: str) -> None:
    async with running(replica := Replica()):
        with pytest.raises(ReplicaUnreachableError, match="UNAUTHENTICATED"):
            await ReplicaStream.open(replica.address, token, replica.name, lambda: None)


async def test_another_replica_at_the_address_is_not_taken_for_the_one() -> None:
    async with running(replica := Replica()):
        with pytest.raises(ReplicaUnreachableError, match="'old' answers there, not 'older'"):
            await ReplicaStream.open(replica.address, TOKEN, "older", lambda: None)


async def test_what_nobody_waits_for_is_taken_back() -> None:
    replica = Replica()
    async with opened(replica) as stream:
        call = asyncio.create_task(stream.score(told("0.3 a", "0 b"), 5))
        await asyncio.sleep(0.1)
        large = asyncio.create_task(stream.score(told(f"0 {'x' * 30_000_000}"), 5))
        unsent = asyncio.create_task(stream.score(told("0 never sent"), 5))
        await asyncio.sleep(0.001)  # the large one is being written
        unsent.cancel()
        call.cancel()
        for task in (call, unsent):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(await large) == 1
        assert parsed(await stream.score(told("0.4 c"), 5)) == ["old: 0.4 c"]
        assert "0.3 a" in replica.began
        assert {"0.3 a", "0 b"}.isdisjoint(replica.ended)
        assert "0 never sent" not in replica.began
        assert replica.server.batches == 0


async def test_a_stream_that_is_cut_tells_that_the_replica_lives_and_is_opened_anew() -> None:
    async with linked(Replica()) as replicas:
        stream = await chosen(replicas)
        call = asyncio.create_task(stream.score(told("5"), 10))
        await asyncio.sleep(0.1)
        stream._call.cancel()  # as a connection that breaks
        with pytest.raises(StreamLostError) as lost:
            await call
        assert (lost.value.died, lost.value.alone) == (False, True)
        again = await chosen(replicas)
        assert again is not stream
        assert parsed(await again.score(told("0"), 5)) == ["old: 0"]


async def test_a_replica_that_dies_is_told_from_a_stream_that_is_cut() -> None:
    async with linked(replica := Replica()) as replicas:
        stream = await chosen(replicas)
        calls = [asyncio.create_task(stream.score(told("5"), 10)) for _ in range(2)]
        await asyncio.sleep(0.1)
        await replica.server.stop(0)
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, StreamLostError)
            assert (error.died, error.alone) == (True, False)
        assert await replicas.choose("patient", "old", 1) is None


async def test_a_replica_that_leaves_answers_what_it_has_and_gets_no_more() -> None:
    async with linked(old := Replica(), other := Replica(name="other")) as replicas:
        first = await chosen(replicas)
        call = asyncio.create_task(first.score(told("0.3"), 10))
        await asyncio.sleep(0.05)
        leaving, staying = (old, other) if old.began else (other, old)
        stopping = asyncio.create_task(leaving.server.stop(5))
        await asyncio.sleep(0.1)
        for _ in range(5):
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == [f"{staying.name}: 0"]
        assert parsed(await call) == [f"{leaving.name}: 0.3"]
        async with asyncio.timeout(2):  # the router hung up: nothing keeps the server
            await stopping


async def test_streams_are_replaced_by_age_and_no_answer_is_lost() -> None:
    async with linked(Replica(), stream_seconds=0.1) as replicas:
        used: set[ReplicaStream] = set()

        async def client(number: int) -> None:
            for i in range(20):
                stream = await chosen(replicas)
                used.add(stream)
                assert parsed(await stream.score(told(f"0.03 {number}-{i}"), 5)) == [f"old: 0.03 {number}-{i}"]

        await asyncio.gather(*(client(i) for i in range(4)))
        assert len(used) > 3
        assert sum(stream.ended for stream in used) >= len(used) - 2


async def test_the_least_busy_replica_is_chosen_and_a_full_one_is_waited_for() -> None:
    async with linked(one := Replica(name="one"), two := Replica(name="two")) as replicas:

        async def call(*words: str) -> list[str | None]:
            return parsed(await (await chosen(replicas)).score(told(*words), 5))

        calls = [asyncio.create_task(call("0.5", "0", "0"))]
        await asyncio.sleep(0.1)
        calls += [asyncio.create_task(call("0.4", "0"))]
        await asyncio.sleep(0.1)
        assert {len(one.began), len(two.began)} == {2, 3}
        fewer = one if len(one.began) == 2 else two
        assert await call("0") == [f"{fewer.name}: 0"]
        await asyncio.gather(*calls)
        calls = [asyncio.create_task(call("0.2")) for _ in range(3 * MAX_BATCHES)]
        await asyncio.sleep(0.1)
        assert one.server.batches == two.server.batches == MAX_BATCHES
        assert len(await asyncio.gather(*calls)) == 3 * MAX_BATCHES
        waiting = [asyncio.create_task(call("1")) for _ in range(2 * MAX_BATCHES)]
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await replicas.choose("patient", "old", 0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_a_replica_that_is_silent_gets_no_more_until_it_speaks() -> None:
    class Frozen(Replica):
        async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
            return await super().score(batch, timeout) if self.began else await self.freeze(batch)

        async def freeze(self, batch: Sequence[Envelope]) -> list[Verdict]:
            self.began.append("frozen")
            await asyncio.sleep(60)
            return []

    async with linked(Frozen()) as replicas:
        stream = await chosen(replicas)
        with pytest.raises(TimeoutError):
            await stream.score(told("0"), 0.1)
        assert not stream.usable
        async with asyncio.timeout(5):
            while (again := await replicas.choose("patient", "old", 1)) is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert parsed(await again.score(told("0"), 5)) == ["old: 0"]


async def test_the_status_keeps_its_digest_while_it_can_be_had_and_follows_when_it_cannot() -> None:
    async with linked(old := Replica("old"), new := Replica("new")) as replicas:
        assert replicas.status("patient", "old") == old.status
        assert replicas.status("patient", "new") == new.status
        for _ in range(5):
            assert parsed(await (await chosen(replicas, "new")).score(told("0"), 5)) == ["new: 0"]
        assert old.began == []
        await old.server.stop(0)
        async with asyncio.timeout(5):
            while await replicas.choose("patient", "old", 1) is not None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert replicas.status("patient", "old") == new.status
        assert replicas.status("another", "old") is None


async def test_replicas_outlive_the_directory() -> None:
    replica = Replica()
    failing = False

    async def listing() -> list[Announcement]:
        if failing:
            raise ConnectionError("no directory")
        return [] if forgetful else [replica.announcement]

    forgetful = False
    async with running(replica):
        replicas = Replicas(listing, TOKEN)
        replicas.start()
        try:
            async with asyncio.timeout(5):
                while await replicas.choose("patient", "old", 1) is None:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            failing = True
            await asyncio.sleep(1.2)
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == ["old: 0"]
            failing, forgetful = False, True
            await asyncio.sleep(1.2)
            assert parsed(await (await chosen(replicas)).score(told("0"), 5)) == ["old: 0"]
        finally:
            await replicas.close()
