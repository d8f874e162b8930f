"""The breaker, and the writes that it keeps from a server that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rewardmesh.router.cache import Counters, breaker
from rewardmesh.router.cache.breaker import Breaker
from rewardmesh.router.cache.write_behind import BATCH, Item, WriteBehind

ITEMS: list[Item] = [(("judge", str(i)), b"score") for i in range(3 * BATCH)]


class Clock:
    """Stands still until told otherwise."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(breaker, "time", clock)
    return clock


class Store:
    """Remembers what was written to it, batch by batch, or refuses."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.refuses = False

    async def write(self, batch: Sequence[Item]) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise ConnectionError("refused")
        self.batches.append(list(batch))


def test_one_failure_opens_and_one_success_closes(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    guard = Breaker("it")
    guard.succeeded()
    assert not guard.open
    for _ in range(3):
        guard.failed(TimeoutError("late"))
    assert guard.open
    guard.succeeded()
    assert not guard.open
    assert [record.getMessage() for record in caplog.records] == [
        "it failed, going on without: TimeoutError: late",
        "it works again",
    ]


def test_a_try_is_due_once_a_second_and_for_one_caller(clock: Clock) -> None:
    guard = Breaker("it")
    guard.failed(TimeoutError())
    assert not guard.due()
    clock.now += 0.7
    assert not guard.due()
    clock.now += 0.6
    assert [guard.due(), guard.due()] == [True, False]
    clock.now += 1.3
    assert guard.due()


async def test_batches_are_written_in_order() -> None:
    store, counters = Store(), Counters()
    writer = WriteBehind(store.write, Breaker("it"), counters)
    for item in ITEMS:
        writer.put([item])
    await writer.close(60)
    assert [item for batch in store.batches for item in batch] == ITEMS
    assert [len(batch) for batch in store.batches] == [BATCH] * 3
    assert (counters.written, counters.dropped, counters.errors) == (len(ITEMS), 0, 0)


async def test_while_open_all_is_dropped_but_a_try(clock: Clock) -> None:
    store, counters = Store(), Counters()
    writer = WriteBehind(store.write, Breaker("it"), counters)
    store.refuses = True
    writer.put(ITEMS)
    await writer.close(60)
    assert (counters.dropped, counters.errors) == (len(ITEMS), 1)
    writer.put(ITEMS[:5])
    await writer.close(60)
    assert (counters.dropped, counters.errors) == (len(ITEMS) + 5, 1)
    store.refuses = False
    clock.now += 2
    writer.put(ITEMS[:5])
    writer.put(ITEMS[5:7])  # before the try has succeeded
    await writer.close(60)
    writer.put(ITEMS[7:9])
    await writer.close(60)
    assert store.batches == [ITEMS[:5], ITEMS[7:9]]
    assert counters.dropped == len(ITEMS) + 7


async def test_closing_waits_no_longer_than_told() -> None:
    async def never(batch: Sequence[Item]) -> None:
        await asyncio.Event().wait()

    writer = WriteBehind(never, Breaker("it"), Counters())
    writer.put(ITEMS)
    await writer.close(0.01)
