"""Where replicas announce themselves and routers find them: a small named actor on the Ray cluster.

It holds nothing that is not said again within seconds, so it may die and be started anew at any time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import ray

from rewardmesh.services.engine import RewardStatus

NAME, NAMESPACE = "rewardmesh-directory", "rewardmesh"
# Replicas repeat their announcement; one that was not heard of for so long is gone.
ANNOUNCE_SECONDS = 2.0
EXPIRE_SECONDS = 4 * ANNOUNCE_SECONDS
# How long the actor may take to answer.
ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """A replica that answers on a stream.

    Attributes:
        replica: Its id, which no other replica has or will have.
        address: `host:port` of its server.
        status: The reward it hosts, as it is now.
        mark: That of its deployment; see `deployment.mark`.
    """

    replica: str
    address: str
    status: RewardStatus
    mark: str = ""


class Directory:
    """The actor.

    Args:
        token: What replicas want to be shown. It is here for the routers that come later to the cluster.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._heard: dict[str, tuple[float, Announcement]] = {}

    def token(self) -> str:
        return self._token

    def announce(self, announcement: Announcement) -> None:
        """Lists a replica for `EXPIRE_SECONDS`."""
        self._heard[announcement.replica] = (time.monotonic(), announcement)

    def withdraw(self, replica: str) -> None:
        """Lists it no more."""
        self._heard.pop(replica, None)

    def listing(self) -> list[Announcement]:
        """The replicas heard of lately."""
        heard_since = time.monotonic() - EXPIRE_SECONDS
        self._heard = {replica: heard for replica, heard in self._heard.items() if heard[0] >= heard_since}
        return [announcement for _, announcement in self._heard.values()]


class DirectoryClient:
    """The directory, wherever and however often it is started.

    Args:
        token: To start it with, if it is not there; None leaves that to others.
        detached: Whether it stays on the cluster when this process leaves.
    """

    def __init__(self, token: str | None = None, detached: bool = False) -> None:
        self._new_token = token
        self._detached = detached
        self._actor: Any = None

    async def token(self) -> str:
        """What replicas want to be shown. Raises as all of these do: RayError, ValueError or TimeoutError."""
        self._new_token = cast(str, await self._call("token"))
        return self._new_token

    async def announce(self, announcement: Announcement) -> None:
        await self._call("announce", announcement)

    async def withdraw(self, replica: str) -> None:
        await self._call("withdraw", replica)

    async def listing(self) -> list[Announcement]:
        return cast(list[Announcement], await self._call("listing"))

    async def _call(self, method: str, *arguments: object) -> object:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                if self._actor is None:
                    self._actor = await asyncio.to_thread(self._find)  # asks the cluster's head, which may be away
                return await getattr(self._actor, method).remote(*arguments)
        except Exception:
            self._actor = None  # it may have another life
            raise

    def _find(self) -> Any:
        if self._new_token is None:
            return ray.get_actor(NAME, NAMESPACE)
        return find_or_start(self._new_token, self._detached)


def find_or_start(token: str, detached: bool) -> Any:
    """The actor. The token is for a new one."""
    actor: Any = ray.remote(Directory)
    options = partial(actor.options, name=NAME, namespace=NAMESPACE, get_if_exists=True, num_cpus=0, max_restarts=-1)
    return options(lifetime="detached" if detached else None).remote(token)
