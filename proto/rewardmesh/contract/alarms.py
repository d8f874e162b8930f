"""Alarms: one timer of the event loop for many deadlines, nearly all of which are called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any


class Alarms:
    """Calls what is not called off in time. Belongs to the event loop it is first used on.

    The loop's own timers cost several microseconds each, which a message that is answered in a millisecond would pay
    for nothing. Here the timer is left as it is when an alarm is called off, and finds nothing to do when it rings.
    """

    def __init__(self) -> None:
        self._set: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: Hashable, when: float, call: Callable[[], object]) -> None:
        """Has `call` called at `when`, a time of the event loop. A key has one alarm, the latest."""
        self._set[key] = when, call
        if self._timer is None or when < self._timer.when():
            self._start(when)

    def call_off(self, key: Hashable) -> None:
        """Does nothing where none is set."""
        self._set.pop(key, None)

    def close(self) -> None:
        """Calls off all of them."""
        self._set.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        due = [key for key, (when, _) in self._set.items() if when <= now]
        calls = [call for _, call in sorted((self._set.pop(key) for key in due), key=itemgetter(0))]
        if self._set:
            self._start(min(when for when, _ in self._set.values()))
        for call in calls:
            call()


def late(answer: asyncio.Future[Any]) -> None:
    """Has whoever still waits for an answer get a TimeoutError."""
    if not answer.done():
        answer.set_exception(TimeoutError())
