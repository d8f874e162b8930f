"""A router on a free port in front of each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest_asyncio

from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import Server
from rewardmesh.router.settings import Address, Limits, Settings
from rewardmesh.services.engine import Engine
from rewardmesh.v1.reward_pb2_grpc import RewardServiceStub

# A small message limit, so that a message over it is quick to make.
SETTINGS = Settings(
    limits=Limits(message_bytes=8 * 2**20), sources={"math500": "math", "zoo": "counting", "lost": "nobody"}
)


@dataclass
class Router:
    """A running router and a raw stub to it."""

    address: Address
    server: Server
    metrics: Metrics
    channel: grpc.aio.Channel
    stub: Any


@pytest_asyncio.fixture(loop_scope="session")
async def router(engine: Engine) -> AsyncIterator[Router]:
    metrics = Metrics(SETTINGS.sources)
    server = Server(SETTINGS, Pipeline(engine, SETTINGS, metrics))
    address = server.bind(Address("127.0.0.1", 0))
    await server.start()
    async with grpc.aio.insecure_channel(str(address), [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield Router(address, server, metrics, channel, RewardServiceStub(channel))
    await server.drain()
