"""The thread that blocking rewards run in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from rewardmesh.services.thread import Thread


async def test_calls_run_one_after_the_other_and_errors_come_back() -> None:
    thread = Thread()
    running: list[int] = []

    def work(number: int) -> int:
        running.append(number)
        assert running == [number]
        time.sleep(0.01)
        running.remove(number)
        return number

    assert await asyncio.gather(*(thread.call(lambda i=i: work(i)) for i in range(5))) == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="SystemExit"):
        await thread.call(sys.exit)
    thread.stop()


async def test_it_knows_that_it_is_busy_for_nobody() -> None:
    thread = Thread()
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(thread.call(gate.wait), 0.1)
    await asyncio.sleep(0.05)
    assert thread.abandoned_seconds() > 0
    gate.set()
    assert await thread.call(lambda: "free") == "free"
    assert thread.abandoned_seconds() == 0
    thread.stop()


async def test_a_call_given_up_before_its_turn_is_not_run() -> None:
    thread = Thread()
    gate, ran = threading.Event(), list[str]()
    first = asyncio.create_task(thread.call(gate.wait))
    second = asyncio.create_task(thread.call(lambda: ran.append("second")))
    await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.wait([second])
    gate.set()
    await first
    await thread.call(lambda: ran.append("third"))
    assert ran == ["third"]
    thread.stop()


def test_a_call_that_never_returns_does_not_keep_the_process_alive() -> None:
    program = """
import asyncio, time
from rewardmesh.services.thread import Thread
async def main():
    thread = Thread()
    try:
        await asyncio.wait_for(thread.call(lambda: time.sleep(1000)), 0.1)
    except TimeoutError:
        thread.stop()
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
