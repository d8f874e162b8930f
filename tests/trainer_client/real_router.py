"""Routers with a LocalEngine: in this process, to be looked into, and in processes of their own, to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from multiprocessing.process import BaseProcess

from rewardmesh.contract import CountReference, Rollout
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.server import Server
from rewardmesh.router.settings import Address, Settings
from rewardmesh.router.up import serve
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.local import LocalEngine


def count(id: object, number: int = 3, **fields: object) -> Rollout:
    """One that scores 1."""
    return Rollout(str(id), f"There are {number}.", reference=CountReference(number), **fields)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Local:
    """A router here. `engine.score` is called once for each of its batches."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, rewards: Sequence[str] = ("counting",)) -> None:
        self._listen = Address(address, port)
        self._rewards = rewards
        self.batches: list[int] = []
        self.target = ""

    async def start(self) -> None:
        settings = Settings(drain_seconds=5.0)
        self._engine = LocalEngine([RewardSpec(name) for name in self._rewards])
        pipeline = Pipeline(self._engine, settings, Metrics())
        score = pipeline.score

        async def counted(envelopes, *args, **kwargs):  # type: ignore[no-untyped-def]
            self.batches.append(len(envelopes))
            return await score(envelopes, *args, **kwargs)

        pipeline.score = counted  # type: ignore[method-assign]
        self._server = Server(settings, pipeline)
        self._listen = self._server.bind(self._listen)
        self.target = str(self._listen)
        await self._engine.start()
        await self._server.start()

    async def stop(self) -> None:
        await self._server.drain()
        await self._engine.close()


@contextlib.asynccontextmanager
async def local(
    address: str = "127.0.0.1", port: int = 0, rewards: Sequence[str] = ("counting",)
) -> AsyncIterator[Local]:
    router = Local(address, port, rewards)
    await router.start()
    try:
        yield router
    finally:
        await router.stop()


class Remote:
    """A router in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.process: BaseProcess = context.Process(target=_serve, args=(self.port,), daemon=True)
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(20)


@contextlib.contextmanager
def remotes(number: int):  # type: ignore[no-untyped-def]
    routers = [Remote() for _ in range(number)]
    try:
        yield routers
    finally:
        for router in routers:
            router.kill()


def _serve(port: int) -> None:
    rewards = {"counting": {}}
    settings = Settings.model_validate(
        {"engine": "local", "listen": f"127.0.0.1:{port}", "metrics": f"127.0.0.1:{free_port()}", "rewards": rewards}
    )
    asyncio.run(serve(settings))


async def until(condition: Callable[[], object]) -> None:
    """Waits; the test's own timeout is the limit."""
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
