"""One thread for code that blocks, called from the event loop. Unlike an executor's, it never keeps a process alive."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class Thread:
    """Runs calls one after the other. A call whose caller has given up before its turn is not run at all."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._abandoned_at: float | None = None
        # A daemon: user code that never returns must not keep the router from exiting.
        threading.Thread(target=self._run, daemon=True).start()

    async def call(self, function: Callable[[], T]) -> T:
        """Runs a function in the thread; raises what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((function, future))
        return await future

    def abandoned_seconds(self) -> float:
        """For how long the thread has been busy with a call that nobody waits for; 0 when it is not."""
        return 0.0 if self._abandoned_at is None else time.monotonic() - self._abandoned_at

    def stop(self) -> None:
        """Ends the thread after the call it is in."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, future = job
            if future.cancelled():
                continue
            self._tell(future.add_done_callback, self._note_abandoned)
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:  # noqa: BLE001 - handed to the caller, whatever it is
                error = raised
            self._tell(self._finish, future, result, error)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _note_abandoned(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._abandoned_at = time.monotonic()

    def _finish(self, future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
        self._abandoned_at = None
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
