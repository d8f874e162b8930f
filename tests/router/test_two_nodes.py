"""Two routers before a Ray cluster of two nodes: work goes everywhere, and whatever dies, every rollout is scored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from rewardmesh.contract import CountReference, Rollout
from rewardmesh.trainer_client.client import RewardClient

from .test_up import banner, up

MESH = """listen: 127.0.0.1:0
metrics: 127.0.0.1:0
rewards: {counting: {replicas: 2, resources: {place: 2}}, unloadable: {}}
"""
STOP_SECONDS = 30.0
PROGRAM = Path(__file__).with_name("two_nodes.py")


class Nodes:
    """The cluster, in a process of its own: one process holds one Ray cluster, and the test run has its own."""

    def __init__(self) -> None:
        token = secrets.token_hex(32)
        # The last has Ray take 127.0.0.1 for this machine's address, in every process.
        loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        self.environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} | loopback
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.environ,
            start_new_session=True,
        )
        self.environ["RAY_ADDRESS"] = self._answer()["address"]

    def ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # what it started, too
            self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def nodes() -> Iterator[Nodes]:
    found = Nodes()
    try:
        yield found
    finally:
        found.close()


class Load:
    """Scores rollouts without pause until it is told to stop."""

    def __init__(self, client: RewardClient) -> None:
        self._client = client
        self._stop = False
        self.scored = 0
        self.wrong: list[Any] = []

    async def run(self) -> None:
        while not self._stop:
            batch = [Rollout(f"{i}", str(i % 5), task="counting", reference=CountReference(3)) for i in range(20)]
            for rollout, verdict in zip(batch, await self._client.score(batch, timeout=60), strict=True):
                if verdict.score is None or verdict.score.value != (rollout.completion == "3"):
                    self.wrong.append(verdict)
                self.scored += 1

    async def more(self, count: int) -> None:
        """Waits until so many more are scored."""
        wanted = self.scored + count
        async with asyncio.timeout(60):
            while self.scored < wanted:  # noqa: ASYNC110 - a test
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        self._stop = True


@pytest_asyncio.fixture
async def load(tmp_path: Path) -> AsyncIterator[tuple[Load, Nodes, list[subprocess.Popen[str]]]]:
    with nodes() as cluster, contextlib.ExitStack() as routers:
        (tmp_path / "1").mkdir()
        (tmp_path / "2").mkdir()
        started = [routers.enter_context(up(tmp_path / n, MESH, "serve", **cluster.environ)) for n in "12"]
        targets = [(await asyncio.to_thread(banner, router))[0] for router in started]
        async with RewardClient(targets, timeout=60) as client:
            load = Load(client)
            callers = [asyncio.create_task(load.run()) for _ in range(4)]
            yield load, cluster, started
            load.stop()
            await asyncio.gather(*callers)
        assert load.wrong == []


async def test_a_router_comes_another_and_a_node_die_under_load(
    load: tuple[Load, Nodes, list[subprocess.Popen[str]]], tmp_path: Path
) -> None:
    scoring, cluster, routers = load

    async def replicas() -> dict[str, str]:
        return (await asyncio.to_thread(cluster.ask, "where counting"))["nodes"]

    async with asyncio.timeout(60):  # two routers that start together may deploy twice
        while len(set((before := await replicas()).values())) < 2:
            await scoring.more(100)
    (tmp_path / "3").mkdir()
    with up(tmp_path / "3", MESH, "serve", **cluster.environ) as third:
        target = (await asyncio.to_thread(banner, third))[0]
        assert await replicas() == before  # deployed just so already
        async with RewardClient(target) as client:
            [verdict] = await client.score([Rollout("r", "3", task="counting", reference=CountReference(3))])
            assert verdict.score is not None
    routers[0].kill()
    await scoring.more(3000)
    await asyncio.to_thread(cluster.ask, "remove")
    await scoring.more(3000)
    assert scoring.wrong == []
