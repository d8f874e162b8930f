"""A RewardClient on an event loop of its own, in a thread, for callers that have no loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from rewardmesh.trainer_client.client import RewardClient


class LoopThread:
    """Runs the methods of one RewardClient; `options` are its arguments. Any thread may call."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._client = RewardClient(**options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rewardmesh client", daemon=True)
        self._thread.start()

    def submit(self, method: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """Starts a method; the future has its result. Cancelling the future cancels the call."""
        return asyncio.run_coroutine_threadsafe(getattr(self._client, method)(*args, **kwargs), self._loop)

    def close(self) -> None:
        """Closes the client, lets calls under way end, and stops the thread."""
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut_down(self) -> None:
        await self._client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
