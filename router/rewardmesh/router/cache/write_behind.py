"""Writes that nobody waits for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from rewardmesh.router.cache.breaker import Breaker
from rewardmesh.router.cache.counters import Counters
from rewardmesh.router.cache.key import Key
from rewardmesh.router.cache.lru import entry_bytes

BATCH = 256
WAITING_BYTES = 8 * 2**20

Item: TypeAlias = tuple[Key, bytes]


class WriteBehind:
    """A bounded queue of serialised scores, and a task that empties it batch by batch.

    Args:
        write: Writes up to `BATCH` scores; raises where it cannot.
        breaker: While open, scores are dropped.
        counters: Told of what was written and dropped.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[None]], breaker: Breaker, counters: Counters
    ) -> None:
        self._write = write
        self._breaker = breaker
        self._counters = counters
        self._waiting: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, items: Sequence[Item]) -> None:
        """Queues scores; drops those that find no room, or all while writing fails."""
        if self._breaker.open and not self._breaker.due():
            self._counters.dropped += len(items)
            return
        for item in items:
            size = entry_bytes(*item)
            if self._bytes + size > WAITING_BYTES:
                self._counters.dropped += 1
            else:
                self._waiting.append((item, size))
                self._bytes += size
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._empty())

    async def close(self, timeout: float) -> None:
        """Goes on writing for up to `timeout` seconds, then drops the rest."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout)
            self._task.cancel()

    async def _empty(self) -> None:
        while self._waiting:
            batch = [self._take() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001 - as in RedisTier
                self._counters.errors += 1
                self._counters.dropped += len(batch) + len(self._waiting)
                self._waiting.clear()
                self._bytes = 0
                self._breaker.failed(error)
            else:
                self._counters.written += len(batch)
                self._breaker.succeeded()

    def _take(self) -> Item:
        item, size = self._waiting.popleft()
        self._bytes -= size
        return item
