"""Keeps a stream open to one replica for as long as the replica is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

from rewardmesh.services.directory import Announcement
from rewardmesh.services.replica_stream import ReplicaStream, ReplicaUnreachableError

log = logging.getLogger(__name__)

# A stream's age at which a new one takes its place, so that nothing a connection gathers over time outlives it, and
# a connection is made now and then while all is well. Streams differ by up to a fifth: not all at once.
STREAM_SECONDS = 600.0
# How soon an unreachable replica is tried again, at first and at last.
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.05, 2.0
# How long a stream that has been replaced may take to end.
SEE_OUT_SECONDS = 60.0


class Link:
    """One replica, its announcement and its stream.

    Args:
        announced: What the replica says of itself; the latest is kept here by whoever finds it.
        token: What it wants to be shown.
        freed: Called whenever it may take another batch, or none any more.
        stream_seconds: At what age its stream is replaced.
    """

    def __init__(
        self, announced: Announcement, token: str, freed: Callable[[], None], stream_seconds: float = STREAM_SECONDS
    ) -> None:
        self.announced = announced
        self._token = token
        self._freed = freed
        self._stream_seconds = stream_seconds
        self._stream: ReplicaStream | None = None
        self._former: set[asyncio.Task[None]] = set()
        self._keeper = asyncio.create_task(self._keep())

    @property
    def stream(self) -> ReplicaStream | None:
        """Its stream, if that takes batches."""
        return self._stream if self._stream is not None and self._stream.usable else None

    @property
    def left(self) -> bool:
        """Whether the replica has taken its leave: it is not coming back."""
        return self._keeper.done()

    async def close(self) -> None:
        """Hangs up at once."""
        self._keeper.cancel()
        for task in self._former:
            task.cancel()
        await asyncio.gather(self._keeper, *self._former, return_exceptions=True)
        if self._stream is not None:
            await self._stream.close()

    async def _keep(self) -> None:
        retry = FIRST_RETRY_SECONDS
        while True:
            try:
                stream = await ReplicaStream.open(
                    self.announced.address, self._token, self.announced.replica, self._freed
                )
            except ReplicaUnreachableError as error:
                log.debug("no stream to a replica of %s: %s", self.announced.status.name, error)
                await self._replace(None, died=True)
                await asyncio.sleep(retry)
                retry = min(2 * retry, LAST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            await self._replace(stream, died=False)
            self._freed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._stream_seconds * random.uniform(0.8, 1.0)):
                    await stream.changed.wait()
            if stream.leaving:
                await self._see_out(stream)
                return

    async def _replace(self, stream: ReplicaStream | None, died: bool) -> None:
        """Puts a stream in the place of the former, whose last answers are awaited.

        Batches on one that has ended are told only now whether the replica lives.
        """
        former = self._stream
        if stream is not None or (former is not None and former.ended):
            self._stream = stream  # before anybody is told that the former was lost, and asks again
        if former is None:
            return
        if former.ended:
            former.fail(died)
            await former.close()
        elif stream is not None:
            former.retire()
            task = asyncio.create_task(self._see_out(former))
            self._former.add(task)
            task.add_done_callback(self._former.discard)

    async def _see_out(self, stream: ReplicaStream) -> None:
        """Waits for the last answers of a stream that takes no more batches."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEE_OUT_SECONDS):
                    while not stream.ended:
                        stream.changed.clear()
                        await stream.changed.wait()
        finally:
            await stream.close()
