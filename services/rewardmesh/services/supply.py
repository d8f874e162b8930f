"""Fresh workers: from the zygote, which is started again when it has died."""

from __future__ import annotations

import asyncio

from rewardmesh.contract.errors import UnavailableError
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.nursery import Nursery, Worker

# A worker that is let go exits when it sees its socket closed, unless it hangs.
EXIT_SECONDS = 1.0


class Supply:
    """Where a reward's workers come from and go to."""

    def __init__(self, spec: RewardSpec) -> None:
        self._spec = spec
        self._nursery: Nursery | None = None
        self._restart: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Starts the zygote. Raises UnavailableError when it cannot load the reward."""
        nursery = Nursery(self._spec)
        await nursery.start()
        self._nursery = nursery

    async def fresh(self) -> Worker:
        """A worker that has done nothing yet. Raises UnavailableError when none can be had."""
        if self._closed:
            raise UnavailableError("its worker processes are closed")
        if self._nursery is None or not self._nursery.alive:
            # One restart for all who wait, and it goes on when they give up: the next batch will need it too.
            if self._restart is None or self._restart.done():
                self._restart = asyncio.create_task(self._start_again())
            await asyncio.shield(self._restart)
        assert self._nursery is not None
        return await self._nursery.fork()

    def dismiss(self, worker: Worker) -> None:
        """Lets a worker go, whatever has become of it."""
        ending = asyncio.create_task(_end(worker))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """Ends the zygote, and with it every worker. There are no fresh ones after that."""
        self._closed = True
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait([self._restart])
        if self._nursery is not None:
            await self._nursery.close()
        if self._endings:
            await asyncio.wait(self._endings)

    async def _start_again(self) -> None:
        if self._nursery is not None:
            await self._nursery.close()
            self._nursery = None
        await self.start()


async def _end(worker: Worker) -> None:
    try:
        async with asyncio.timeout(EXIT_SECONDS):
            await worker.ended()
    except TimeoutError:
        await worker.kill()
