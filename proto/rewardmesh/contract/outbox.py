"""Outbox: messages to a gRPC stream, which takes one at a time."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

Message = TypeVar("Message")


class Outbox(Generic[Message]):
    """Sends in order. Belongs to the event loop it is used on.

    A message is handed to gRPC in the turn of the loop in which it is put, where none is before it; and never in the
    task of whoever puts it, as a write that is cancelled cancels its whole stream.

    Args:
        write: The stream's.
        broken: Called when it cannot be written to; what is queued by then is dropped. The stream's reader knows why.
    """

    def __init__(self, write: Callable[[Message], Awaitable[object]], broken: Callable[[], object]) -> None:
        self._write_one = write
        self._broken = broken
        self._queue: deque[Callable[[], Message | None]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._writing = False

    def put(self, make: Callable[[], Message | None]) -> None:
        """Sends what `make` returns when its turn comes; nothing if that is None."""
        self._queue.append(make)
        if not self._writing:
            self._writer = _begin(self._write())

    async def empty(self) -> None:
        """Waits until everything is sent, or cannot be."""
        while self._writing and self._writer is not None:
            await asyncio.wait([self._writer])

    async def close(self) -> None:
        """Sends no more."""
        self._queue.clear()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _write(self) -> None:
        self._writing = True
        try:
            while self._queue:
                message = self._queue.popleft()()
                if message is not None:
                    await self._write_one(message)
        except Exception:  # noqa: BLE001 - whatever gRPC raises for a stream that has ended
            self._queue.clear()
            self._broken()
        finally:
            self._writing = False


def _begin(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Runs it, as the eager tasks of Python 3.12 do, to where it first waits; the rest is a task, if there is any.

    Until then it runs in the caller's task, and must not use `asyncio.timeout` or `asyncio.current_task`.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    task = asyncio.create_task(_finish(coroutine, awaited))
    task.add_done_callback(lambda _: _drop(coroutine, awaited))
    return task


def _drop(coroutine: Coroutine[Any, Any, None], awaited: object) -> None:
    """A task that is cancelled before it starts has not gone on with it. Else there is nothing left to drop."""
    if isinstance(awaited, asyncio.Future):
        cast(asyncio.Future[object], awaited).cancel()
    coroutine.close()


async def _finish(coroutine: Coroutine[Any, Any, None], awaited: object) -> None:
    await _go_on(coroutine, awaited)


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, None], awaited: object) -> Generator[object, object, None]:
    while True:
        try:
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001 - the coroutine's to handle
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(answer)
        except StopIteration:
            return
