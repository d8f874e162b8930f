"""RewardClient against servers whose limits are not the defaults, told or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.contract.greeting import Greeting, MessageLimits
from rewardmesh.trainer_client import stream
from rewardmesh.trainer_client.client import RewardClient
from rewardmesh.v1 import reward_pb2 as pb

SMALL = MessageLimits(message_bytes=1000, rollouts=7)  # where tags and lengths weigh most


def rollout(id: object, completion: str = "") -> Rollout:
    return Rollout(id=str(id), completion=completion)


async def restart(server: Any, told: Greeting | None, takes: int) -> None:
    await server.stop()
    server.greeting, server.takes = told, takes
    await server.start()


def kinds(verdicts: list[Verdict]) -> list[str]:
    return [v.failure.kind if v.failure else "score" for v in verdicts]


MIXED = [rollout("before"), rollout("huge", "x" * 2000), *(rollout(i, "x" * (i % 250)) for i in range(300))]
ANSWERS = ["score", "too_large", *["score"] * 300]


@pytest.mark.parametrize(
    "told", [Greeting("9.9", SMALL), Greeting("9.9", SMALL._replace(rollouts=1024)), Greeting("9.9"), None]
)
async def test_a_smaller_limit_is_kept_whether_it_is_told_or_met(
    server: Any, told: Greeting | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "GREETING_SECONDS", 0.2)
    await restart(server, told, takes=SMALL.message_bytes)
    async with RewardClient(server.target, pins={"math": "0123456789ab"}) as client:
        neighbour = asyncio.create_task(client.score([rollout("neighbour", "late")]))
        verdicts = await client.score(MIXED, timeout=10)
        assert kinds(await neighbour) == ["score"]
        assert kinds(await client.score(MIXED, timeout=10)) == ANSWERS
    assert kinds(verdicts) == ANSWERS
    assert [v.id for v in verdicts] == [r.id for r in MIXED]
    failure = verdicts[1].failure
    assert failure
    assert not failure.retryable
    assert f"{server.target} takes {SMALL.message_bytes} in a message" in failure.message
    assert server.streams == (1 if told and told.limits.message_bytes == SMALL.message_bytes else 2)
    if told and told.limits == SMALL:
        assert max(len(request.rollouts) for request in server.requests) == SMALL.rollouts


async def test_messages_are_filled_nearly_to_the_limit(server: Any) -> None:
    await restart(server, Greeting("9.9", SMALL._replace(rollouts=1024)), takes=SMALL.message_bytes)
    async with RewardClient(server.target) as client:
        assert set(kinds(await client.score([rollout(i, "x" * 20) for i in range(300)]))) == {"score"}
    sizes = [pb.StreamRequest(score=request).ByteSize() for request in server.requests[:-1]]
    assert min(sizes) > 0.8 * SMALL.message_bytes


async def test_a_larger_limit_is_used(server: Any) -> None:
    default = MessageLimits()
    told = Greeting("9.9", MessageLimits(2 * default.message_bytes, 2 * default.rollouts))
    await restart(server, told, takes=told.limits.message_bytes)
    async with RewardClient(server.target) as client:
        large = rollout("large", "x" * (default.message_bytes + 1))
        assert kinds(await client.score([rollout(0), large])) == ["score", "score"]
        server.requests.clear()
        await client.score([rollout(i) for i in range(told.limits.rollouts)])
    assert [len(request.rollouts) for request in server.requests] == [told.limits.rollouts]


async def test_a_router_that_comes_back_with_a_smaller_limit(server: Any) -> None:
    async with RewardClient(server.target) as client:
        asked = [rollout(i, "never" if i == 0 else "x" * 100) for i in range(30)]
        waiting = asyncio.create_task(client.score(asked))
        await server.until(lambda: server.requests)
        assert len(server.requests[0].rollouts) == 30
        await restart(server, Greeting("9.9", SMALL), takes=SMALL.message_bytes)
        waiting.cancel()
        assert kinds(await client.score(asked[1:])) == ["score"] * 29
        assert client.server_version == "9.9"


async def test_what_waits_through_a_restart_is_split_anew(server: Any) -> None:
    async with RewardClient(server.target) as client:
        await client.score([rollout("warm")])
        await server.stop()
        server.requests.clear()
        waiting = asyncio.create_task(client.score([rollout(i, "x" * 100) for i in range(30)]))
        await asyncio.sleep(0.1)
        await restart(server, replace(server.greeting, limits=SMALL), takes=SMALL.message_bytes)
        assert kinds(await waiting) == ["score"] * 30
    assert {len(request.rollouts) for request in server.requests} == {7, 2}


@pytest.mark.parametrize(
    ("metadata", "limits"),
    [
        ([], MessageLimits()),
        ([("rewardmesh-message-bytes", "7")], MessageLimits(message_bytes=7)),
        ([("rewardmesh-rollouts", "7"), ("another", "8")], MessageLimits(rollouts=7)),
        ([("rewardmesh-rollouts", "0"), ("rewardmesh-message-bytes", "-1")], MessageLimits()),
        ([("rewardmesh-rollouts", "many"), ("rewardmesh-message-bytes", "")], MessageLimits()),
        ([("rewardmesh-rollouts", "9" * 5000)], MessageLimits()),
    ],
)
def test_what_a_greeting_does_not_tell_is_at_its_default(
    metadata: list[tuple[str, str]], limits: MessageLimits
) -> None:
    assert Greeting.from_metadata(metadata) == Greeting("", limits)


def test_a_greeting_comes_back_as_it_went() -> None:
    greeting = Greeting("1.2.3", MessageLimits(4, 5))
    assert Greeting.from_metadata(greeting.to_metadata()) == greeting
