"""One stream between a router and a replica."""

from __future__ import annotations

import asyncio

import pytest

from rewardmesh.services.replica_stream import ReplicaStream, ReplicaUnreachableError
from rewardmesh.services.replica_wire import score_bytes
from rewardmesh.v1 import reward_pb2 as pb
from tests.services.patient import TOKEN, Replica, opened, parsed, running, told


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
        call = asyncio.create_task(stream.score(told("60 a", "0 b"), 5))
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
        assert parsed(await stream.score(told("0.1 c"), 5)) == ["old: 0.1 c"]
        assert "60 a" in replica.began
        assert {"60 a", "0 b"}.isdisjoint(replica.ended)
        assert "0 never sent" not in replica.began
        assert replica.server.batches == 0
