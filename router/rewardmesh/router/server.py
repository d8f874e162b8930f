"""The gRPC server around the servicer: health, reflection, size limits and a graceful end."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.servicer import Servicer
from rewardmesh.router.settings import Address, Settings
from rewardmesh.router.unreadable import RefuseUnreadable
from rewardmesh.v1 import reward_pb2 as pb
from rewardmesh.v1.reward_pb2_grpc import add_RewardServiceServicer_to_server

SERVICE = pb.DESCRIPTOR.services_by_name["RewardService"].full_name
REWARD_PREFIX = "rewardmesh.rewards."  # health service of a reward
HEALTH_SECONDS = 1.0  # how stale a reward's health may be; a probe asks every few seconds
# Calls at once; a stream is one. Past it a client is answered RESOURCE_EXHAUSTED: each may hold a whole message.
MAX_CALLS = 1024


class BindError(OSError):
    """The address cannot be listened on."""


class Server:
    """A router's gRPC server. `bind`, `start` and `drain` are called once, in that order, on one event loop."""

    def __init__(self, settings: Settings, pipeline: Pipeline) -> None:
        self._drain_seconds = settings.drain_seconds
        self._pipeline = pipeline
        self._servicer = Servicer(pipeline, settings.limits, settings.client_rollouts)
        # The package sets `aio` at run time, where pyright cannot see it.
        self._health = cast(Any, health).aio.HealthServicer()
        self._health_task: asyncio.Task[None] | None = None
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.limits.message_bytes),
                # An answer can be larger than its request, as Failures say why; unsent, it would cost its scores.
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # else two routers share a port and each gets half of the calls
            ],
            interceptors=[RefuseUnreadable(SERVICE)],
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        add: Any = add_RewardServiceServicer_to_server  # generated code is untyped
        add(self._servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    def bind(self, address: Address) -> Address:
        """Takes the port; returns where it listens. Raises BindError."""
        try:
            port = self._server.add_insecure_port(str(address))
        except RuntimeError:  # grpc says where it failed, and tells its log why
            port = 0
        if not port:
            raise BindError(f"cannot listen on {address}: the port is taken, or the address is not this machine's")
        return Address(address.host, port)

    async def start(self) -> None:
        """Starts answering. The engine must have started."""
        await self._set_health(SERVICE, True)
        await self._set_rewards_health()
        await self._server.start()
        self._health_task = asyncio.create_task(self._watch_rewards())

    async def drain(self) -> None:
        """Reports NOT_SERVING, refuses new calls, and waits up to `drain_seconds` for those in flight."""
        if self._health_task is not None:
            self._health_task.cancel()
        await self._health.enter_graceful_shutdown()
        self._servicer.drain()
        await self._server.stop(self._drain_seconds)

    async def _watch_rewards(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            await self._set_rewards_health()

    async def _set_rewards_health(self) -> None:
        for name, status in self._pipeline.rewards().items():
            await self._set_health(REWARD_PREFIX + name, status.ready)

    async def _set_health(self, service: str, ready: bool) -> None:
        codes = health_pb2.HealthCheckResponse
        await self._health.set(service, codes.SERVING if ready else codes.NOT_SERVING)
