"""The replicas a router can reach by stream: found, kept and chosen among."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from rewardmesh.services.directory import Announcement
from rewardmesh.services.engine import RewardStatus
from rewardmesh.services.replica_link import STREAM_SECONDS, Link
from rewardmesh.services.replica_stream import ReplicaStream

log = logging.getLogger(__name__)

# How often the directory is asked.
FIND_SECONDS = 1.0
# Batches in flight on one replica; more wait here, where they can be withdrawn for nothing.
MAX_BATCHES = 16


class Replicas:
    """Links to every replica that is announced.

    A replica whose stream lives is used whatever the directory says: the directory may have lost its memory. One
    without a stream is dropped when the directory does not list it.

    Args:
        listing: Asks the directory; may raise anything.
        token: What replicas want to be shown.
        stream_seconds: See `Link`.
    """

    def __init__(
        self,
        listing: Callable[[], Awaitable[Sequence[Announcement]]],
        token: str,
        stream_seconds: float = STREAM_SECONDS,
    ) -> None:
        self._listing = listing
        self._token = token
        self._stream_seconds = stream_seconds
        self._links: defaultdict[str, dict[tuple[str, str], Link]] = defaultdict(dict)  # of a reward
        self._freed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._finder: asyncio.Task[None] | None = None
        self._lost_directory = False

    def start(self) -> None:
        """Starts looking for replicas."""
        self._finder = asyncio.create_task(self._find_forever())

    async def close(self) -> None:
        """Hangs up everywhere."""
        if self._finder is not None:
            self._finder.cancel()
            await asyncio.wait([self._finder])
        await asyncio.gather(*(link.close() for links in self._links.values() for link in links.values()))

    def status(self, reward: str, digest: str) -> RewardStatus | None:
        """What replicas that can be reached say of a reward; those of this digest while there are any.

        None when none can be reached.
        """
        found = [link.announced.status for link in self._links[reward].values() if link.stream is not None]
        same = [status for status in found if status.digest == digest] or found
        return next((status for status in same if status.ready), same[0] if same else None)

    def count(self, reward: str, digest: str) -> int:
        """How many replicas of this digest can be reached."""
        return len(self._streams(reward, digest))

    async def choose(self, reward: str, digest: str, seconds: float) -> ReplicaStream | None:
        """The stream to the replica of this digest with the fewest rollouts in flight; None without any.

        Waits for up to so many seconds while all have `MAX_BATCHES`, then raises TimeoutError. A replica that says it
        is not ready is chosen when all say so.
        """
        streams = self._streams(reward, digest)
        if not streams:
            return None
        return _least_busy(streams) or await asyncio.wait_for(self._wait(reward, digest), seconds)

    async def _wait(self, reward: str, digest: str) -> ReplicaStream | None:
        while streams := self._streams(reward, digest):
            if (least := _least_busy(streams)) is not None:
                return least
            self._freed[reward].clear()
            await self._freed[reward].wait()
        return None

    def _streams(self, reward: str, digest: str) -> list[ReplicaStream]:
        ready: list[ReplicaStream] = []
        others: list[ReplicaStream] = []
        for link in self._links[reward].values():
            status, stream = link.announced.status, link.stream
            if stream is not None and status.digest == digest:
                (ready if status.ready else others).append(stream)
        return ready or others

    async def _find_forever(self) -> None:
        while True:
            try:
                await self._find()
                self._lost_directory = False
            except Exception as error:  # noqa: BLE001 - whatever Ray raises: the replicas that are known go on
                if not self._lost_directory:
                    log.warning("the directory of replicas does not answer: %s: %s", type(error).__name__, error)
                self._lost_directory = True
            await asyncio.sleep(FIND_SECONDS)

    async def _find(self) -> None:
        listed = {(each.replica, each.address): each for each in await self._listing()}
        for key, announced in listed.items():
            links = self._links[announced.status.name]
            if key in links:
                links[key].announced = announced
            else:
                freed = self._freed[announced.status.name].set
                links[key] = Link(announced, self._token, freed, self._stream_seconds)
        for links in self._links.values():
            for key, link in list(links.items()):
                if key not in listed and (link.left or link.stream is None):
                    del links[key]
                    with contextlib.suppress(Exception):
                        await link.close()


def _least_busy(streams: Sequence[ReplicaStream]) -> ReplicaStream | None:
    """The one with the fewest rollouts of those that take another batch."""
    return min((each for each in streams if each.batches < MAX_BATCHES), key=_rollouts, default=None)


def _rollouts(stream: ReplicaStream) -> int:
    return stream.rollouts
