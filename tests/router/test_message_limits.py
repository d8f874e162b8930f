"""Our own client against a router whose limits are not the defaults."""

from __future__ import annotations

import asyncio

import pytest

from rewardmesh.contract import CountReference, Rollout
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import Server
from rewardmesh.router.settings import Address, Limits, Settings
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.local import LocalEngine
from rewardmesh.trainer_client.client import RewardClient


def count(id: str, words: int = 0) -> Rollout:
    return Rollout(id, "so " * words + "3", reference=CountReference(3))


@pytest.mark.parametrize(
    "limits",
    [Limits(message_bytes=20_000), Limits(rollouts=3), Limits(message_bytes=32 * 2**20, rollouts=5000)],
    ids=["few bytes", "few rollouts", "more than the default"],
)
async def test_the_client_splits_by_what_the_router_tells(limits: Limits) -> None:
    settings = Settings(limits=limits)
    engine = LocalEngine([RewardSpec("counting")])
    server = Server(settings, Pipeline(engine, settings, Metrics()))
    address = server.bind(Address("127.0.0.1", 0))
    await engine.start()
    await server.start()
    try:
        async with RewardClient(str(address)) as client:
            asked = [count(str(i), 300) for i in range(50)]
            huge = ["huge"] if limits.message_bytes < 10**6 else []
            asked[7:7] = [count(id, 10_000) for id in huge]
            neighbour = asyncio.create_task(client.score([count("neighbour")], timeout=10))
            verdicts = await client.score(asked, timeout=10)
            assert (await neighbour)[0].score
            assert [v.id for v in verdicts] == [r.id for r in asked]
            assert [(v.id, v.failure.kind) for v in verdicts if v.failure] == [(id, "too_large") for id in huge]
            many = await client.score([count(str(i)) for i in range(3000)], timeout=30)
            assert all(v.score for v in many)
    finally:
        await server.drain()
        await engine.close()
