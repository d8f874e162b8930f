"""A replica's own door: its server, and the announcement that leads routers to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

import ray

from rewardmesh.services.directory import ANNOUNCE_SECONDS, Announcement, DirectoryClient
from rewardmesh.services.engine import RewardStatus
from rewardmesh.services.replica_server import ReplicaServer, Score

log = logging.getLogger(__name__)

# How long a replica that is stopped answers what it has. Ray Serve waits 2 s before it tells the replica, and ends it
# for good 5 s after it began to wait.
LEAVE_SECONDS = 2.5


class Key(NamedTuple):
    """How routers get in. The same for all replicas of a deployment.

    Attributes:
        token: What a router must show.
        host: The address to listen on; empty for the one at which other nodes reach this one.
    """

    token: str
    host: str


class Door:
    """Opened once the reward has loaded, and shut before it is closed.

    Args:
        score: Scores a batch within so many seconds.
        status: Tells what is hosted here.
        key: How routers get in.
        replica: This replica's id.
        mark: That of its deployment.
    """

    def __init__(
        self, score: Score, status: Callable[[], RewardStatus], key: Key, replica: str, mark: str = ""
    ) -> None:
        self._host = key.host
        self._status = status
        self._replica = replica
        self._mark = mark
        self._server = ReplicaServer(score, key.token, replica)
        self._directory = DirectoryClient()
        self._announcer: asyncio.Task[None] | None = None

    @property
    def batches(self) -> int:
        """Batches that came through it and are being scored now."""
        return self._server.batches

    async def open(self) -> None:
        """Listens on a free port. Raises RuntimeError when it cannot."""
        address = await self._server.start(self._host or await asyncio.to_thread(node_address))
        self._announcer = asyncio.create_task(self._announce(address))

    async def shut(self) -> None:
        """Sends routers away and answers what they have sent."""
        if self._announcer is not None:
            self._announcer.cancel()
            await asyncio.wait([self._announcer])
        withdrawing = asyncio.create_task(self._directory.withdraw(self._replica))
        await self._server.stop(LEAVE_SECONDS)
        withdrawing.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await withdrawing

    async def _announce(self, address: str) -> None:
        while True:
            try:
                await self._directory.announce(Announcement(self._replica, address, self._status(), self._mark))
            except Exception as error:  # noqa: BLE001 - whatever Ray raises, the directory comes back or a router starts one
                log.debug("cannot announce: %s", error)
            await asyncio.sleep(ANNOUNCE_SECONDS)


def node_address() -> str:
    """The address other nodes reach this one at. Asks the cluster's head; `ray.util` would guess from the routes."""
    node = ray.get_runtime_context().get_node_id()
    return next(str(each["NodeManagerAddress"]) for each in ray.nodes() if each["NodeID"] == node)
