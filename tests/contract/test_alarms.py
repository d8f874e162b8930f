"""Alarms ring in time, unless they are called off; one timer serves them all."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from rewardmesh.contract.alarms import Alarms


async def rung(plan: list[tuple[str, float]], called_off: str = "", seconds: float = 0.1) -> list[str]:
    """What rings of alarms set, in this order, for so many seconds from now."""
    alarms, heard = Alarms(), list[str]()
    began = asyncio.get_running_loop().time()
    for key, after in plan:
        alarms.set(key, began + after, partial(heard.append, f"{key}@{after}"))
    for key in called_off:
        alarms.call_off(key)
    await asyncio.sleep(seconds)
    return heard


@pytest.mark.parametrize(
    ("plan", "called_off", "heard"),
    [
        ([("a", 0.02), ("b", 0.04)], "", ["a@0.02", "b@0.04"]),
        ([("a", 0.04), ("b", 0.02)], "", ["b@0.02", "a@0.04"]),
        ([("a", 0.02), ("b", 0.04)], "a", ["b@0.04"]),
        ([("a", 0.02), ("b", 0.04)], "ab", []),
        ([("a", 0.02)], "nobody's", ["a@0.02"]),
        ([("a", 0.02), ("a", 0.04)], "", ["a@0.04"]),
        ([("a", 0.04), ("a", 0.02)], "", ["a@0.02"]),
        ([("a", -1.0), ("b", 0.0)], "", ["a@-1.0", "b@0.0"]),
        ([("a", 99.0), ("b", 0.02)], "", ["b@0.02"]),
    ],
)
async def test_they_ring_in_time(plan: list[tuple[str, float]], called_off: str, heard: list[str]) -> None:
    assert await rung(plan, called_off) == heard


async def test_an_alarm_may_set_the_next() -> None:
    alarms, heard = Alarms(), asyncio.Event()
    now = asyncio.get_running_loop().time()
    alarms.set("first", now, partial(alarms.set, "second", now + 0.01, heard.set))
    await asyncio.wait_for(heard.wait(), 30)


async def test_closed_they_are_silent() -> None:
    alarms, heard = Alarms(), list[str]()
    alarms.set("a", asyncio.get_running_loop().time() + 0.05, partial(heard.append, "a"))
    alarms.close()
    await asyncio.sleep(0.2)
    assert not heard


async def test_what_is_called_off_costs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers, call_at = list[float](), loop.call_at

    def counted(when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *args, **options)

    monkeypatch.setattr(loop, "call_at", counted)
    alarms = Alarms()
    for key in range(1000):
        alarms.set(key, loop.time() + 60, lambda: None)
        alarms.call_off(key)
    assert len(timers) == 1
