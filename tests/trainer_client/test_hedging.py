"""A second copy of what is late, where the routers say that this is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rewardmesh.contract import Rollout
from rewardmesh.trainer_client.client import RewardClient
from rewardmesh.trainer_client.hedge import hedged
from tests.trainer_client.conftest import ScriptedServer
from tests.trainer_client.real_router import until


@pytest.fixture
async def other() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    await scripted.start()
    yield scripted
    await scripted.stop()


def asked(servers: list[Any]) -> int:
    return sum(len(server.requests) for server in servers)


@pytest.mark.parametrize("task", ["math", "unknown", ""])
@pytest.mark.parametrize("pure", [(True, True), (True, False), (False, False)])
async def test_only_pure_rewards_are_asked_twice(server: Any, other: Any, pure: tuple[bool, bool], task: str) -> None:
    server.pure, other.pure = pure
    servers = [server, other]
    async with RewardClient([server.target, other.target], hedge_after_seconds=0.02) as client:
        await client.score([Rollout("warm", "")])
        streams = client._routers.streams
        await until(lambda: [bool(s.pure_tasks) for s in streams] == list(pure) and client._routers.up == 2)
        before = asked(servers)
        [verdict] = await client.score([Rollout("a", "late", task=task)])
        assert verdict.score
        assert asked(servers) - before == (2 if all(pure) and task == "math" else 1)


async def test_what_is_stuck_at_one_router_is_answered_by_the_other(server: Any, other: Any) -> None:
    server.pure = other.pure = True
    stuck = asyncio.Event()
    answer = server._answer

    async def never(*args: Any) -> None:
        await stuck.wait()
        await answer(*args)

    server._answer = never
    async with RewardClient([server.target, other.target], hedge_after_seconds=0.02) as client:
        await until(lambda: client._routers.up == 2) if client._routers.up else client._routers._open()
        await until(lambda: all(s.pure_tasks for s in client._routers.streams))
        for i in range(10):
            assert (await client.score([Rollout(f"{i}", "", task="math")]))[0].score
        await until(lambda: len(server.cancelled) == len(server.requests) > 0)
    assert not other.cancelled


async def test_without_it_nothing_is_asked_twice(server: Any, other: Any) -> None:
    server.pure = other.pure = True
    async with RewardClient([server.target, other.target]) as client:
        await client.score([Rollout("a", "late", task="math")])
    assert asked([server, other]) == 1


async def value(after: float, result: object) -> object:
    await asyncio.sleep(after)
    if isinstance(result, Exception):
        raise result
    return result


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0.0, "a"), (0.0, "b"), "a"),
        ((5.0, "a"), (0.0, "b"), "b"),
        ((0.1, "a"), (0.0, "poor"), "a"),
        ((0.1, "poor"), (0.0, ValueError("b")), "poor"),
        ((0.1, "a"), (0.0, ValueError("b")), "a"),
        ((0.1, ValueError("a")), (0.2, "b"), "b"),
        ((0.1, ValueError("a")), (0.0, ValueError("b")), ValueError),
        ((0.1, "a"), None, "a"),
    ],
)
async def test_the_first_good_answer_wins(first: Any, second: Any, expected: Any) -> None:
    def make() -> Any:
        return value(*second) if second else None

    trying = hedged(value(*first), make, 0.01, lambda answer: answer != "poor")
    if isinstance(expected, str):
        assert await trying == expected
    else:
        with pytest.raises(ValueError, match="a"):
            await trying
