"""Rollouts whose Failure is retryable are asked again, inside the deadline, and they alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from rewardmesh.contract import Rollout
from rewardmesh.trainer_client import asking, call
from rewardmesh.trainer_client.client import RewardClient
from tests.trainer_client.conftest import ScriptedServer
from tests.trainer_client.real_router import until


def rollout(id: object, completion: str = "") -> Rollout:
    return Rollout(id=str(id), completion=completion)


async def test_only_what_failed_is_asked_again(server: Any) -> None:
    async with RewardClient(server.target) as client:
        asked = [rollout(0), rollout(1, "busy 2"), rollout(2, "gone"), rollout(3, "busy 1")]
        verdicts = await client.score(asked)
    assert [v.id for v in verdicts] == ["0", "1", "2", "3"]
    assert [bool(v.score) for v in verdicts] == [True, True, False, True]
    assert server.answered == Counter({"0": 1, "1": 3, "2": 1, "3": 2})


async def test_not_forever(server: Any) -> None:
    async with RewardClient(server.target, timeout=60) as client:
        [verdict] = await client.score([rollout(0, "busy 1000")])
    assert verdict.failure
    assert verdict.failure.kind == "overloaded"
    assert server.answered["0"] == call.RETRIES + 1


async def test_not_beyond_the_deadline(server: Any) -> None:
    async with RewardClient(server.target) as client:
        [verdict] = await client.score([rollout(0, "busy 1000")], timeout=0.2)
        assert verdict.failure
        assert verdict.failure.kind == "overloaded"  # not `timeout`: what is known of it is more
        assert 1 <= server.answered["0"] <= 4


async def test_a_closed_client_does_not_ask_again(server: Any) -> None:
    client = RewardClient(server.target)
    waiting = asyncio.create_task(client.score([rollout(0, "busy 1000")]))
    await until(lambda: server.answered["0"])
    await client.close()
    [verdict] = await waiting
    assert verdict.failure


async def test_many_callers_are_asked_again_together(server: Any) -> None:
    async with RewardClient(server.target) as client:
        answers = await asyncio.gather(*(client.score([rollout(i, f"busy {i % 3}")]) for i in range(60)))
    assert all(verdict.score for [verdict] in answers)
    assert server.answered == Counter({str(i): i % 3 + 1 for i in range(60)})


async def test_another_router_is_asked_and_the_busy_one_left_alone(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "REST_SECONDS", 60.0)
    other = ScriptedServer()
    await other.start()
    other.answered["0"] = 1000
    async with RewardClient([server.target, other.target]) as client:
        await client.score([rollout("warm")])
        await until(lambda: client._routers.up == 2)
        for _ in range(10):
            assert (await client.score([rollout(0, "busy 1000")]))[0].score
    assert server.answered["0"] == 1
    assert other.answered["0"] == 1010
    await other.stop()
