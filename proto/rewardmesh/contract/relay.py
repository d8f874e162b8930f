"""Relay: the server's side of a stream whose messages are answered side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

Message = TypeVar("Message")
Result = TypeVar("Result")

# Tasks that have nothing to do: one reads the next message, one takes its place when it has.
_IDLE = 2


class Relay(Generic[Message]):
    """Tasks that each read a message and answer it, while another reads the next.

    Whoever has read a message goes on with it at once: handing it to another task would cost a turn of the event loop,
    and so would reading the next one first. `run` is called once.

    Args:
        read: The next message; None when there are no more. Never called by two tasks at once.
        answer: Answers one.
        most: How many may be answered at the same time; no more are read meanwhile.

    Attributes:
        stopped: Whether `stop` was called.
    """

    def __init__(
        self, read: Callable[[], Awaitable[Message | None]], answer: Callable[[Message], Awaitable[None]], most: int
    ) -> None:
        self.stopped = False
        self._read = read
        self._answer = answer
        self._most = most
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = 0  # of them, those that read or wait for their turn to
        self._cancellable: dict[asyncio.Task[Any], Hashable] = {}
        self._no_more = self._over = False
        self._changed = asyncio.Event()
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Returns when the last message, or after `stop` what had been read by then, is answered.

        Raises:
            BaseException: What `read` or `answer` raised first; the others are cancelled, as all are when this is.
        """
        self._hire()
        try:
            while self._error is None and (self._busy or not (self._no_more or self.stopped)):
                self._changed.clear()
                await self._changed.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._over = True
            for task in self._tasks:
                task.cancel()

    def stop(self) -> None:
        """Has `run` end when nothing is being answered."""
        self.stopped = True
        self._changed.set()

    async def unless_cancelled(self, key: Hashable, work: Awaitable[Result]) -> Result | None:
        """What work for a message comes to; None if `cancel` ended it. Only `answer` may use this, once at a time."""
        task = asyncio.current_task()
        assert task is not None
        self._cancellable[task] = key
        try:
            return await work
        except asyncio.CancelledError:
            if self._over:
                raise
            task.uncancel()  # it was the message that was cancelled: the task goes on
            return None
        finally:
            del self._cancellable[task]

    def cancel(self, key: Hashable) -> None:
        """Cancels the work that goes by this key, where there is any."""
        for task, its in self._cancellable.items():
            if its == key:
                task.cancel()

    @property
    def working(self) -> int:
        """For how many messages there is work that could be cancelled."""
        return len(self._cancellable)

    @property
    def _busy(self) -> int:
        return len(self._tasks) - self._idle

    def _hire(self) -> None:
        task = asyncio.create_task(self._work())
        self._idle += 1
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _work(self) -> None:
        while True:
            await self._reading.acquire()  # `async with` takes a few microseconds more
            try:
                message = None if self._no_more else await self._read()
                self._idle -= 1
            finally:
                self._reading.release()
            if message is None:
                self._no_more = True
                return
            if not self._idle and len(self._tasks) < self._most:
                self._hire()
            if self._busy > 1:  # the next is to be here when this one is done
                await asyncio.sleep(0)
            await self._answer(message)
            if self._idle >= _IDLE or self._over:
                return
            self._idle += 1
            if self.stopped:
                self._changed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self._error is None:
            self._error = error
        self._changed.set()
