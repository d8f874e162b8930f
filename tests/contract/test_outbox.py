"""An outbox sends in order, one at a time, at once where it can, and never in its caller's task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rewardmesh.contract.outbox import Outbox


class Wire:
    """A stream that takes a message when it is told to, and says how it was written to."""

    def __init__(self, broken_at: str = "") -> None:
        self.begun: list[str] = []
        self.sent: list[str] = []
        self.broken = 0
        self.cancelled = False
        self.open = asyncio.Event()
        self.outbox: Outbox[str] = Outbox(self.write, self.break_)
        self._broken_at = broken_at

    async def write(self, message: str) -> None:
        assert len(self.begun) == len(self.sent), "gRPC takes one write at a time"
        self.begun.append(message)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if message == self._broken_at:
            self.begun.pop()
            raise ConnectionError("the stream has ended")
        self.sent.append(message)

    def break_(self) -> None:
        self.broken += 1

    def put(self, *messages: str | None) -> None:
        for message in messages:
            self.outbox.put(said(message))


def said(message: str | None) -> Callable[[], str | None]:
    return lambda: message


async def test_the_first_is_begun_at_once_and_the_others_follow_in_order() -> None:
    wire = Wire()
    wire.put("a", "b", None, "c")
    assert wire.begun == ["a"]
    wire.open.set()
    await wire.outbox.empty()
    assert wire.sent == ["a", "b", "c"]
    wire.put(None)
    wire.put("d")
    assert wire.begun[-1] == "d"
    await wire.outbox.empty()
    assert wire.sent == ["a", "b", "c", "d"]


async def test_a_message_is_made_when_its_turn_comes() -> None:
    wire, made = Wire(), list[str]()

    def late() -> str:
        made.append("b")
        return "b"

    wire.put("a")
    wire.outbox.put(late)
    await asyncio.sleep(0.05)
    assert not made
    wire.open.set()
    await wire.outbox.empty()
    assert wire.sent == ["a", "b"]


@pytest.mark.parametrize("turns", range(4))
async def test_who_puts_may_be_cancelled(turns: int) -> None:
    wire = Wire()

    async def caller() -> None:
        wire.put("a")
        await asyncio.sleep(60)

    task = asyncio.create_task(caller())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    wire.open.set()
    await wire.outbox.empty()
    assert not wire.cancelled
    assert wire.sent == (["a"] if turns else [])


@pytest.mark.parametrize("open", [False, True], ids=["while it waits", "at once"])
async def test_a_stream_that_has_ended_is_told_of_and_what_is_queued_is_dropped(open: bool) -> None:
    wire = Wire(broken_at="a")
    if open:
        wire.open.set()
    wire.put("a", "b")
    wire.open.set()
    await wire.outbox.empty()
    assert wire.broken == 1
    assert wire.sent == (["b"] if open else [])  # where the first broke at once, the second was put afterwards
    wire.put("c")
    await wire.outbox.empty()
    assert wire.sent[-1:] == ["c"]
    assert wire.sent.count("b") == open


@pytest.mark.parametrize("turns", range(3))
async def test_closed_it_sends_no_more(turns: int) -> None:
    wire = Wire()
    wire.put("a", "b")
    for _ in range(turns):
        await asyncio.sleep(0)
    await wire.outbox.close()
    await wire.outbox.empty()
    wire.open.set()
    await asyncio.sleep(0)
    assert wire.begun == ["a"]
    assert not wire.sent
    assert not wire.broken
    assert wire.cancelled


@pytest.mark.parametrize("turns", range(3))
async def test_a_write_that_is_given_up_leaves_no_future_behind(turns: int) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outbox: Outbox[str] = Outbox(lambda _: future, lambda: None)
    outbox.put(said("a"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await outbox.close()
    assert future.cancelled()
