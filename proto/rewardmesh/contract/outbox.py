"""Outbox: messages to a gRPC stream, which takes one at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

Message = TypeVar("Message")


class Outbox(Generic[Message]):
    """Sends in order. Belongs to the event loop it is used on.

    A message is handed to gRPC in the turn of the loop in which it is put, where none is before it; and never in the
    task of whoever puts it, as a write that is cancelled cancels its whole stream.

    Args:
        write: The stream's. Waits for futures alone, and asks for no `asyncio.current_task`: there is none.
        broken: Called when it cannot be written to; what is queued by then is dropped. The stream's reader knows why.
    """

    def __init__(self, write: Callable[[Message], Awaitable[object]], broken: Callable[[], object]) -> None:
        self._write = write
        self._broken = broken
        self._queue: deque[Callable[[], Message | None]] = deque()
        self._sending: Coroutine[asyncio.Future[Any], None, None] | None = None
        self._waits_for: asyncio.Future[Any] | None = None

    def put(self, make: Callable[[], Message | None]) -> None:
        """Sends what `make` returns when its turn comes; nothing if that is None."""
        self._queue.append(make)
        if self._sending is None:
            self._sending = self._send()
            self._go_on()

    async def empty(self) -> None:
        """Waits until everything is sent, or cannot be."""
        while self._waits_for is not None:
            await asyncio.wait([self._waits_for])  # who waits for it first goes on first

    async def close(self) -> None:
        """Sends no more."""
        self._queue.clear()
        if self._waits_for is not None:
            self._waits_for.cancel()
        await self.empty()

    async def _send(self) -> None:
        try:
            while self._queue:
                message = self._queue.popleft()()
                if message is not None:
                    await self._write(message)
        except Exception:  # noqa: BLE001 - whatever gRPC raises for a stream that has ended
            self._queue.clear()
            self._broken()
        finally:
            self._sending = None

    def _go_on(self, _: object = None) -> None:
        """Runs `_send` to where it next waits: what a task does, for less, and from its first step on at once."""
        self._waits_for = None
        assert self._sending is not None
        try:
            future = self._sending.send(None)
        except (StopIteration, asyncio.CancelledError):
            return
        future._asyncio_future_blocking = False  # pyright: ignore[reportPrivateUsage] -- told: it is waited for
        future.add_done_callback(self._go_on)
        self._waits_for = future
