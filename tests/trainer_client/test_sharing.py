"""Calls that share messages: who with whom, whose ids, whose deadline, and what of it when one leaves."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from rewardmesh.contract import CountReference, PointReference, Reference, Rollout
from rewardmesh.contract.greeting import Greeting, MessageLimits
from rewardmesh.trainer_client.asking import MAX_ROLLOUTS
from rewardmesh.trainer_client.client import RewardClient
from tests.trainer_client.real_router import count, local


def rollout(id: object, completion: str = "", **fields: Any) -> Rollout:
    return Rollout(id=str(id), completion=completion, **fields)


def sizes(server: Any) -> list[int]:
    return [len(request.rollouts) for request in server.requests]


async def test_calls_of_the_same_moment_share_a_message(server: Any) -> None:
    async with RewardClient(server.target) as client:
        answers = await asyncio.gather(*(client.score([rollout(i, f"text {i}")]) for i in range(64)))
    assert sizes(server) == [32, 32]  # two may be on the way
    assert [(v.id, v.score.explanation) for [v] in answers if v.score] == [(f"{i}", f"text {i}") for i in range(64)]


async def test_calls_pile_up_while_two_messages_are_on_their_way(server: Any) -> None:
    async with RewardClient(server.target) as client:
        waiting = []
        for name in ("first", "second"):
            waiting.append(asyncio.create_task(client.score([rollout(name, "late")])))
            await server.until(lambda: len(server.requests) == len(waiting))
        waiting += [asyncio.create_task(client.score([rollout(i)])) for i in range(3 * MAX_ROLLOUTS)]
        await asyncio.gather(*waiting)
    assert sizes(server) == [1, 1, *[MAX_ROLLOUTS] * 3]


async def test_callers_may_use_the_same_ids_and_one_caller_an_id_twice(server: Any) -> None:
    async with RewardClient(server.target) as client:
        asked = [[rollout("same", f"{i}"), rollout("~1", f"{i}"), rollout("same", f"again {i}")] for i in range(20)]
        answers = await asyncio.gather(*map(client.score, asked))
    for i, verdicts in enumerate(answers):
        assert [v.id for v in verdicts] == ["same", "~1", "same"]
        assert [v.score.explanation for v in verdicts if v.score] == [f"{i}", f"{i}", f"again {i}"]
    ids = [[r.id for r in request.rollouts] for request in server.requests]
    assert all(len(set(message)) == len(message) for message in ids)
    assert ids[0][:2] == ["same", "~1"]  # whose id nobody else has keeps it: it stands in the router's logs


async def test_a_router_scores_what_has_the_same_id() -> None:
    async with local() as router, RewardClient(router.target) as client:
        answers = await asyncio.gather(*(client.score([count("same", i), count("same", i + 1)]) for i in range(20)))
        assert all(v.id == "same" and v.score and v.score.value == 1 for verdicts in answers for v in verdicts)
        assert len(router.batches) < 20


async def test_only_those_with_alike_time_share_a_message_which_has_the_shortest(server: Any) -> None:
    async with RewardClient(server.target) as client:
        timeouts = [1, 1.5, 30, 40, 300]
        await asyncio.gather(*(client.score([rollout(i)], timeout=timeout) for i, timeout in enumerate(timeouts)))
    told = {tuple(r.id for r in m.rollouts): m.options.timeout_seconds for m in server.requests}
    assert set(told) == {("0", "1"), ("2", "3"), ("4",)}
    for (first, *_), seconds in told.items():
        assert 0 < seconds <= timeouts[int(first)]


async def test_who_has_time_left_when_the_message_has_not_asks_again(server: Any) -> None:
    async with RewardClient(server.target) as client:
        timeouts = {"short": 1.0, "long": 1.9}
        calls = (client.score([rollout(id, "slow once")], timeout=seconds) for id, seconds in timeouts.items())
        [short], [long] = await asyncio.gather(*calls)
    assert sizes(server) == [2, 1]
    assert short.failure
    assert short.failure.kind == "timeout"
    assert long.score


async def test_tasks_do_not_wait_for_each_other(server: Any) -> None:
    async with RewardClient(server.target) as client:
        stuck = [asyncio.create_task(client.score([rollout(i, "never", task="slow")])) for i in range(10)]
        await server.until(lambda: server.requests)
        kinds: list[Reference] = [CountReference(1), PointReference([])]
        for kind in kinds:
            assert (await client.score([rollout("a", reference=kind)]))[0].score
        assert (await client.score([rollout("b", task="slow")]))[0].score  # nor for two slow messages of their own
        for task in stuck:
            task.cancel()


async def test_a_message_is_cancelled_when_the_last_of_its_callers_leaves(server: Any) -> None:
    async with RewardClient(server.target) as client:
        callers = [asyncio.create_task(client.score([rollout(i, "late")])) for i in range(3)]
        await server.until(lambda: server.requests)
        assert sizes(server) == [3]
        callers[0].cancel()
        callers[1].cancel()
        assert (await callers[2])[0].score
        assert not server.cancelled
        callers = [asyncio.create_task(client.score([rollout(i, "never")])) for i in range(3)]
        await server.until(lambda: len(server.requests) == 2)
        for caller in callers:
            caller.cancel()
        await server.until(lambda: server.cancelled)
    assert server.cancelled == [server.requests[1].id]


async def test_groups_stay_in_one_message_where_they_fit(server: Any) -> None:
    await server.stop()
    server.greeting = Greeting("9.9", MessageLimits(2**20, 20))
    await server.start()
    async with RewardClient(server.target) as client:
        await client.score([rollout("warm")])
        server.requests.clear()
        asked = [rollout(f"{g}.{i}", group=f"{g}") for g in range(9) for i in range(8)]
        asked += [rollout(f"large.{i}", group="large") for i in range(50)]
        asked += [rollout(f"single.{i}") for i in range(5)]
        random.Random(1).shuffle(asked)
        assert [v.id for v in await client.score(asked)] == [r.id for r in asked]
    where: dict[str, set[int]] = {}
    for place, request in enumerate(server.requests):
        for one in request.rollouts:
            where.setdefault(one.group, set()).add(place)
    assert all(len(where[f"{g}"]) == 1 for g in range(9))
    assert len(where["large"]) == 3
    assert max(sizes(server)) <= 20


@pytest.mark.parametrize("message_bytes", [400, 2000])
async def test_shared_messages_keep_the_limits_too(server: Any, message_bytes: int) -> None:
    await server.stop()
    server.greeting, server.takes = Greeting("9.9", MessageLimits(message_bytes, 50)), message_bytes
    await server.start()
    async with RewardClient(server.target, pins={"math": "abc"}) as client:
        for _ in range(2):  # before the limits are known, and after
            asked = [[rollout("i", "x" * (i % 90)), rollout("i", "y" * (i % 50))] for i in range(200)]
            answers = await asyncio.gather(*map(client.score, asked))
            assert all(v.score for verdicts in answers for v in verdicts)
    assert server.streams == 1
    assert max(sizes(server)) > 2
