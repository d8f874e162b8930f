"""RewardClient with several routers that are slow to come, die, drain and return."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import replace
from typing import Any

import pytest

from rewardmesh.contract import UnavailableError, Verdict
from rewardmesh.trainer_client import routers
from rewardmesh.trainer_client.client import RewardClient
from tests.trainer_client.real_router import Remote, count, free_port, local, remotes, until


def assert_scored(verdicts: list[Verdict]) -> None:
    assert [v.failure for v in verdicts if v.failure] == []


@pytest.mark.parametrize("together", [True, False])
async def test_all_routers_are_asked(together: bool) -> None:
    async with local() as a, local() as b:
        client = RewardClient(f"{a.target},{b.target}" if together else [a.target, b.target])
        assert client.target == f"{a.target},{b.target}"
        await client.score([count("first")])
        await until(lambda: client._routers.up == 2)
        for i in range(20):
            assert_scored(await client.score([count(i)]))
        await client.close()
    assert len(a.batches) >= 10
    assert len(b.batches) >= 10


async def test_a_router_that_is_down_is_passed_over_until_it_comes() -> None:
    port = free_port()
    async with local() as a, RewardClient([f"127.0.0.1:{port}", a.target]) as client:
        for i in range(10):
            assert_scored(await client.score([count(i)]))
        async with local(port=port) as late:
            await until(lambda: client._routers.up == 2)
            for i in range(4):
                assert_scored(await client.score([count(i)]))
            assert late.batches


async def test_a_draining_router_gets_nothing_more_and_loses_nothing() -> None:
    async with local() as a, local() as b, RewardClient([a.target, b.target]) as client:
        await client.score([count("first")])
        await until(lambda: client._routers.up == 2)
        stop = asyncio.Event()

        async def caller(name: int) -> int:
            turn = 0
            while not stop.is_set():
                turn += 1
                assert_scored(await client.score([count(f"{name}.{turn}")]))
            return turn

        callers = [asyncio.create_task(caller(i)) for i in range(16)]
        await asyncio.sleep(0.2)
        await b.stop()
        told = len(b.batches)
        await asyncio.sleep(0.2)
        assert client._routers.up == 1
        await b.start()
        await until(lambda: client._routers.up == 2 and len(b.batches) > told)
        stop.set()
        assert all(await asyncio.gather(*callers))


async def test_kills_under_load_cost_no_verdict() -> None:
    with remotes(2) as (a, b):
        async with RewardClient([a.target, b.target], timeout=30) as client:
            assert_scored(await client.score([count("first")]))
            await until(lambda: client._routers.up == 2)
            stop = asyncio.Event()

            async def caller(name: int) -> None:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    asked = [count(f"{name}.{turn}.{i}", i, group=f"{name}") for i in range(turn % 5)]
                    verdicts = await client.score(asked)
                    assert [v.id for v in verdicts] == [r.id for r in asked]
                    assert_scored(verdicts)

            callers = [asyncio.create_task(caller(i)) for i in range(32)]
            for doomed in (a, b):
                await asyncio.sleep(0.3)
                await asyncio.to_thread(doomed.kill)
                await until(lambda: client._routers.up == 1)
                await asyncio.sleep(0.2)
                doomed.start()
                await until(lambda: client._routers.up == 2)
            stop.set()
            await asyncio.gather(*callers)


async def test_a_frozen_router_costs_what_it_was_asked_its_time_and_is_replaced() -> None:
    with remotes(2) as (a, b):
        async with RewardClient([a.target, b.target], timeout=30) as client:
            assert_scored(await client.score([count("first")]))
            await until(lambda: client._routers.up == 2)
            signal_to(a, signal.SIGSTOP)
            answers = await asyncio.gather(*(client.score([count(i, source=f"{i}")], timeout=0.5) for i in range(20)))
            for [verdict] in answers:
                assert verdict.score or (verdict.failure and verdict.failure.kind == "timeout")
            await until(lambda: client._routers.up == 1)
            for i in range(10):
                assert_scored(await client.score([count(i)]))
            signal_to(a, signal.SIGCONT)
            await until(lambda: client._routers.up == 2)


def signal_to(router: Remote, number: signal.Signals) -> None:
    assert router.process.pid
    os.kill(router.process.pid, number)


async def test_what_kills_its_connection_again_and_again_takes_nobody_with_it(server: Any) -> None:
    async with RewardClient(server.target) as client:
        poison = replace(count("poison"), completion="kill")
        answers = await asyncio.gather(client.score([poison], timeout=20), client.score([count("good")], timeout=20))
    assert answers[0][0].failure
    assert answers[0][0].failure.kind == "unavailable"
    assert_scored(answers[1])


async def test_all_addresses_of_a_name_are_asked_and_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    found = ["127.0.0.1", "127.0.0.2"]
    asked: list[tuple[Any, ...]] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(routers, "RESOLVE_SECONDS", 0.05)
    port = free_port()
    client = RewardClient(f"dns:///rewards.test:{port}")
    async with local(port=port) as a, local("127.0.0.2", port) as b, local("127.0.0.3", port) as c:
        for i in range(20):
            assert_scored(await client.score([count(i)]))
            await until(lambda: client._routers.up == 2)
        assert a.batches
        assert b.batches
        assert asked[0] == ("rewards.test", port)
        found[:] = ["127.0.0.2", "127.0.0.3"]
        await until(lambda: {s.target for s in client._routers.streams} == {b.target, c.target})
        told = len(a.batches)
        for i in range(10):
            assert_scored(await client.score([count(i)]))
            await until(lambda: client._routers.up == 2)
        assert c.batches
        assert len(a.batches) == told
        await client.close()


async def test_rewards_are_those_of_a_router_that_answers() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    async with local() as a, RewardClient([nobody, a.target], timeout=5) as client:
        assert [reward.name for reward in await client.rewards()] == ["counting"]
    async with RewardClient([nobody, f"127.0.0.1:{free_port()}"], timeout=0.1) as client:
        with pytest.raises(UnavailableError, match=rf"{nobody}: not reached"):
            await client.rewards()


async def test_when_none_is_there_each_is_named() -> None:
    targets = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    async with RewardClient(targets) as client:
        [verdict] = await client.score([count("a")], timeout=0.3)
    assert verdict.failure
    assert verdict.failure.kind == "unavailable"
    assert all(f"{target}: " in verdict.failure.message for target in targets)
