"""A second try beside a first that is late; the first good answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def hedged(
    first: Coroutine[Any, Any, Answer],
    second: Callable[[], Coroutine[Any, Any, Answer] | None],
    after: float,
    good: Callable[[Answer], bool],
) -> Answer:
    """The answer of whichever is first; the other is cancelled, as are both when this is.

    Args:
        first: Runs at once.
        second: Makes the second try, when the first has not answered `after` seconds later; None when there is none.
        after: Seconds.
        good: Whether an answer is worth having; one that is not wins only if no better one comes.

    Raises:
        Exception: What the first raised, where none answered.
    """
    tries: list[asyncio.Task[Answer]] = [asyncio.create_task(first)]
    try:
        await asyncio.wait(tries, timeout=after)
        if not tries[0].done() and (other := second()) is not None:
            tries.append(asyncio.create_task(other))
        pending = set(tries)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None and good(task.result()):
                    return task.result()
        for task in tries:
            if task.exception() is None:
                return task.result()
        return tries[0].result()
    finally:
        for task in tries:
            task.cancel()
