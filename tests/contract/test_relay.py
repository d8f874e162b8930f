"""A relay answers messages side by side, reads one at a time, and ends as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from rewardmesh.contract.relay import Relay


class Side:
    """A server's side: what is read from a queue is answered when its gate opens."""

    def __init__(self, messages: Iterable[str | None] = (), most: int = 4) -> None:
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        for message in messages:
            self.inbox.put_nowait(message)
        self.gate = asyncio.Event()
        self.begun: dict[str, asyncio.Task[None]] = {}
        self.answered: list[str] = []
        self.reading = 0
        self.relay = Relay(self.read, self.answer, most)

    async def read(self) -> str | None:
        assert not self.reading, "two tasks read at once"
        self.reading += 1
        try:
            message = await self.inbox.get()
        finally:
            self.reading -= 1
        if message == "unreadable":
            raise ValueError(message)
        return message

    async def answer(self, message: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.begun[message] = task
        if message == "broken":
            raise RuntimeError(message)
        opened = await self.relay.unless_cancelled(message, self.gate.wait())
        self.answered.append(message if opened else f"{message}, cancelled")


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_all_are_answered_side_by_side_before_it_ends() -> None:
    side = Side(["a", "b", "c", None])
    run = asyncio.create_task(side.relay.run())
    await settle()
    assert list(side.begun) == ["a", "b", "c"]
    assert not run.done()
    side.gate.set()
    await asyncio.wait_for(run, 30)
    assert sorted(side.answered) == ["a", "b", "c"]


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_are_read_than_may_be_answered(most: int) -> None:
    side = Side([*"abcdefgh", None], most)
    run = asyncio.create_task(side.relay.run())
    await settle()
    assert len(side.begun) == most
    assert side.inbox.qsize() == 9 - most
    side.gate.set()
    await asyncio.wait_for(run, 30)
    assert sorted(side.answered) == [*"abcdefgh"]


async def test_one_after_the_other_they_need_two_tasks() -> None:
    side = Side()
    side.gate.set()
    run = asyncio.create_task(side.relay.run())
    for number in range(100):
        side.inbox.put_nowait(str(number))
        await settle()
    assert side.answered == [str(number) for number in range(100)]
    assert len(set(side.begun.values())) == 2
    side.inbox.put_nowait(None)
    await asyncio.wait_for(run, 30)


@pytest.mark.parametrize(("bad", "error"), [("unreadable", ValueError), ("broken", RuntimeError)])
async def test_an_error_ends_it_and_cancels_the_others(bad: str, error: type[Exception]) -> None:
    side = Side(["a", "b", bad, "c"])
    with pytest.raises(error, match=bad):
        await asyncio.wait_for(side.relay.run(), 30)
    await settle()
    assert all(task.done() for task in side.begun.values())
    assert not side.answered


@pytest.mark.parametrize("messages", ["", "a", "ab", "abcd"])
async def test_stopped_it_ends_when_what_was_read_is_answered(messages: str) -> None:
    side = Side(messages)
    run = asyncio.create_task(side.relay.run())
    await settle()
    side.relay.stop()
    await settle()
    assert run.done() == (not messages)
    side.gate.set()
    await asyncio.wait_for(run, 30)
    assert sorted(side.answered) == [*messages]


async def test_after_a_burst_two_tasks_are_left() -> None:
    side = Side("abcd")
    run = asyncio.create_task(side.relay.run())
    await settle()
    side.gate.set()
    await settle()
    assert sum(not task.done() for task in side.begun.values()) == 2
    side.inbox.put_nowait(None)
    await asyncio.wait_for(run, 30)


async def test_one_message_may_be_cancelled_and_its_task_goes_on() -> None:
    side = Side(["a", "b"], most=2)
    run = asyncio.create_task(side.relay.run())
    await settle()
    assert side.relay.working == 2
    side.relay.cancel("a")
    side.relay.cancel("nobody's")
    await settle()
    assert not side.begun["a"].cancelling()
    side.inbox.put_nowait("c")
    await settle()
    assert side.begun["c"] is side.begun["a"]
    side.gate.set()
    side.inbox.put_nowait(None)
    await asyncio.wait_for(run, 30)
    assert sorted(side.answered) == ["a, cancelled", "b", "c"]


async def test_cancelled_it_cancels_all() -> None:
    side = Side(["a", "b"])
    run = asyncio.create_task(side.relay.run())
    await settle()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await settle()
    assert all(task.cancelled() for task in side.begun.values())
