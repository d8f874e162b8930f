"""Coalescer: who goes together, who goes next, and who is told what."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from rewardmesh.contract.coalesce import Coalescer


class Ship:
    """Keeps batches until they are let go, and answers each item with itself."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.cancelled: list[list[Any]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.most = 0

    async def __call__(self, items: list[Any]) -> Sequence[Any]:
        gate = asyncio.get_running_loop().create_future()
        self.batches.append(items)
        self.gates.append(gate)
        self.most = max(self.most, sum(not gate.done() for gate in self.gates))
        try:
            await gate
        except asyncio.CancelledError:
            self.cancelled.append(items)
            raise
        return items

    def let_go(self, place: int, error: Exception | None = None) -> None:
        self.gates[place].set_exception(error) if error else self.gates[place].set_result(None)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def put(coalescer: Coalescer[Any, Any], item: object, **fields: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(coalescer.put(item, **fields))


async def finish(ship: Ship, waiting: Sequence[asyncio.Task[Any]]) -> list[Any]:
    while not all(task.done() for task in waiting):
        for gate in ship.gates:
            if not gate.done():
                gate.set_result(None)
        await turns()
    return [task.result() for task in waiting]


async def test_what_is_put_in_one_turn_goes_at_once_and_together() -> None:
    ship = Ship()
    coalescer = Coalescer(ship)
    waiting = [put(coalescer, i) for i in range(10)]
    await turns()
    assert ship.batches == [list(range(10))]
    assert await finish(ship, waiting) == list(range(10))
    assert coalescer.idle


@pytest.mark.parametrize(
    ("count", "in_flight", "sizes"),
    [
        (32, 2, [32]),
        (64, 2, [32, 32]),
        (65, 2, [33, 32]),
        (160, 4, [40, 40, 40, 40]),
        (600, 2, [256, 256, 44, 44]),
    ],
)
async def test_many_are_shared_out_among_the_batches_that_may_go(count: int, in_flight: int, sizes: list[int]) -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=in_flight)
    waiting = [put(coalescer, i) for i in range(count)]
    await turns()
    assert await finish(ship, waiting) == list(range(count))
    assert [len(batch) for batch in ship.batches] == sizes


async def test_callers_pile_up_while_two_batches_are_in_flight() -> None:
    ship = Ship()
    coalescer = Coalescer(ship)
    waiting = [put(coalescer, "first")]
    await turns()
    waiting.append(put(coalescer, "second"))
    await turns()
    waiting += [put(coalescer, i, size=10) for i in range(5)]
    await turns()
    assert ship.batches == [["first"], ["second"]]
    assert (coalescer.queued_items, coalescer.queued_bytes) == (5, 50)
    ship.let_go(1)
    await turns()
    assert ship.batches[2:] == [[0, 1, 2, 3, 4]]
    assert (coalescer.queued_items, coalescer.queued_bytes) == (0, 0)
    assert await finish(ship, waiting) == ["first", "second", 0, 1, 2, 3, 4]
    assert ship.most == 2


@pytest.mark.parametrize("limit", [{"max_items": 4}, {"max_bytes": 40}])
async def test_batches_keep_the_limits_and_what_is_over_them_goes_alone(limit: dict[str, int]) -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=3, **limit)
    counts = [3, 2, 1, 9, 1, 4]
    waiting = [put(coalescer, count, key=place, count=count, size=10 * count) for place, count in enumerate(counts)]
    assert await finish(ship, waiting) == counts
    assert all(sum(batch) <= 4 or batch == [9] for batch in ship.batches)
    assert ship.batches[0] == [3, 1]  # 2 did not fit, and keeps its turn
    assert ship.batches[1][0] == 2
    assert ship.most <= 3


async def test_keys_take_turns_whoever_put_more() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1, max_items=8)
    waiting = [put(coalescer, "greedy", key="greedy") for _ in range(40)]
    waiting += [put(coalescer, key, key=key) for key in ("a", "b", "c") for _ in range(4)]
    await finish(ship, waiting)
    assert [Counter(batch)["greedy"] for batch in ship.batches[:2]] == [2, 2]
    assert all(Counter(batch)["a"] == 2 for batch in ship.batches[:2])
    assert sum(map(len, ship.batches)) == 52


async def test_only_what_is_alike_goes_together_and_all_go() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, alike=lambda first, other: first % 3 == other % 3, max_items=4)
    waiting = [put(coalescer, i, key=i) for i in range(30)]
    assert await finish(ship, waiting) == list(range(30))
    assert all(len({item % 3 for item in batch}) == 1 for batch in ship.batches)
    assert len(ship.batches) == 9


async def test_a_batch_is_cancelled_when_nobody_waits_for_it() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1)
    first, second = put(coalescer, 1), put(coalescer, 2)
    await turns()
    queued, kept = put(coalescer, 3), put(coalescer, 4)
    await turns()
    queued.cancel()
    first.cancel()
    await turns()
    assert ship.cancelled == []
    second.cancel()
    await turns(10)
    assert ship.cancelled == [[1, 2]]
    assert ship.batches == [[1, 2], [4]]
    assert await finish(ship, [kept]) == [4]
    assert coalescer.idle
    assert coalescer.queued_items == 0


@pytest.mark.parametrize("after", range(6))
async def test_whenever_a_caller_leaves_nothing_is_kept_of_it(after: int) -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1)
    doomed = put(coalescer, 1, count=3, size=7)
    await turns(after)
    doomed.cancel()
    await turns(10)
    assert doomed.cancelled()
    assert coalescer.idle
    assert (coalescer.queued_items, coalescer.queued_bytes) == (0, 0)
    assert await finish(ship, [put(coalescer, 2)]) == [2]


async def test_what_ship_raises_is_raised_to_all_of_its_batch_and_to_nobody_else() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1, max_items=2)
    waiting = [put(coalescer, i) for i in range(4)]
    await turns()
    ship.let_go(0, RuntimeError("no"))
    await turns(10)
    ship.let_go(1)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no", "no", "2", "3"]


async def test_too_few_results_are_an_error() -> None:
    async def ship(items: list[int]) -> list[int]:
        return items[1:]

    coalescer = Coalescer(ship)
    with pytest.raises(ValueError, match="shorter"):
        await asyncio.gather(coalescer.put(1), coalescer.put(2))


async def test_a_slow_batch_does_not_keep_others_waiting_where_patience_ends() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1, patience=0.01)
    slow = put(coalescer, "slow")
    await turns()
    quick = put(coalescer, "quick")
    while len(ship.batches) < 2:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)
    ship.let_go(1)
    assert await quick == "quick"
    assert not slow.done()
    ship.let_go(0)
    assert await slow == "slow"
    assert coalescer.idle


async def test_patience_ends_with_one_slow_batch_after_the_other() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=2, max_items=1, patience=0.02)
    slow = [put(coalescer, "slow")]
    await asyncio.sleep(0.01)
    slow.append(put(coalescer, "slower"))
    await turns()
    quick = [put(coalescer, item) for item in ("third", "fourth")]
    for count in (3, 4):
        while len(ship.batches) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    assert ship.batches == [["slow"], ["slower"], ["third"], ["fourth"]]
    assert not any(task.done() for task in slow)
    assert await finish(ship, [*slow, *quick]) == ["slow", "slower", "third", "fourth"]
    assert coalescer.idle


async def test_limits_may_change_while_it_is_used() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1, max_items=1)
    waiting = [put(coalescer, i) for i in range(8)]
    await turns()
    coalescer.max_items, coalescer.in_flight = 3, 2
    await finish(ship, waiting)
    assert [len(batch) for batch in ship.batches] == [1, 3, 3, 1]
    assert ship.most == 2


async def test_a_lonely_caller_ships_in_its_own_task() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1)
    assert await finish(ship, [put(coalescer, "first")]) == ["first"]
    tasks = len(asyncio.all_tasks())
    waiting = [put(coalescer, "second")]
    await turns()
    assert len(asyncio.all_tasks()) == tasks + 1  # the caller's
    assert (ship.batches[1], coalescer.idle) == (["second"], False)
    waiting += [put(coalescer, item) for item in ("third", "fourth")]
    await turns()
    assert len(ship.batches) == 2  # it counts as in flight
    assert await finish(ship, waiting) == ["second", "third", "fourth"]
    assert ship.batches[2:] == [["third", "fourth"]]
    assert coalescer.idle


async def test_a_lonely_caller_who_leaves_or_is_failed_leaves_nothing_behind() -> None:
    ship = Ship()
    coalescer = Coalescer(ship, in_flight=1, patience=0.01)
    await finish(ship, [put(coalescer, "first")])
    leaving = put(coalescer, "leaving")
    await turns()
    behind = put(coalescer, "behind")
    await turns()
    leaving.cancel()
    await turns()
    assert ship.cancelled == [["leaving"]]
    assert await finish(ship, [behind]) == ["behind"]
    failing = put(coalescer, "failing")
    await turns()
    ship.let_go(-1, ValueError("told to"))
    with pytest.raises(ValueError, match="told to"):
        await failing
    slow = put(coalescer, "slow")
    await asyncio.sleep(0.05)  # its patience is over: it no longer keeps others waiting
    other = put(coalescer, "other")
    await turns()
    assert ship.batches[-1] == ["other"]
    await finish(ship, [slow, other])
    assert coalescer.idle
