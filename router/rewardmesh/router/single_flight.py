"""Single flight: what is being scored for one is not scored again for another, who waits for it instead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Score, Verdict
from rewardmesh.router.cache.key import Key

Ask = Callable[[Sequence[Envelope]], Awaitable[Sequence[Verdict]]]


class SingleFlight:
    """Knows which keys are being scored. For one event loop; calls may overlap."""

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Future[Verdict | None]] = {}

    async def ask(self, batch: Sequence[Envelope], keys: Sequence[Key], deadline: float, ask: Ask) -> list[Verdict]:
        """One verdict per rollout, in order; of those with equal keys one is scored, and the others are `cached`.

        Rollouts of one batch share whatever the outcome is. One that is under way for another caller gets the score,
        and is asked for itself where there is none: that caller's time may have been up.

        Args:
            batch: Rollouts.
            keys: Theirs. Equal keys, equal inputs.
            deadline: When nobody wants the verdicts any more, on `time.perf_counter`.
            ask: Scores rollouts, one verdict each, in order.
        """
        first: dict[Key, Envelope] = {}
        for key, envelope in zip(keys, batch, strict=True):
            first.setdefault(key, envelope)
        theirs = {key: self._under_way[key] for key in first if key in self._under_way}
        found = await self._lead({key: envelope for key, envelope in first.items() if key not in theirs}, ask)
        led = set(found)
        if theirs:
            await asyncio.wait(theirs.values(), timeout=max(0.0, deadline - time.perf_counter()))
            found |= {key: known for key, future in theirs.items() if future.done() and (known := future.result())}
            more = await self._lead({key: envelope for key, envelope in first.items() if key not in found}, ask)
            found |= more
            led |= more.keys()
        return [
            found[key] if key in led and first[key] is envelope else _shared(found[key], envelope)
            for key, envelope in zip(keys, batch, strict=True)
        ]

    async def _lead(self, mine: dict[Key, Envelope], ask: Ask) -> dict[Key, Verdict]:
        """Has these scored, and tells whoever waits for one."""
        if not mine:
            return {}
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in mine if key not in self._under_way}
        self._under_way |= futures
        found: dict[Key, Verdict] = {}
        try:
            found = dict(zip(mine, await ask(list(mine.values())), strict=True))
            return found
        finally:
            for key, future in futures.items():
                del self._under_way[key]
                verdict = found.get(key)
                future.set_result(verdict if verdict is not None and isinstance(verdict.outcome, Score) else None)


def _shared(verdict: Verdict, envelope: Envelope) -> Verdict:
    """The same outcome, for another rollout; a Failure stays one, and only a Score counts as remembered."""
    return verdict._replace(
        id=envelope.id, task=envelope.task, seconds=0.0, queued=0.0, cached=isinstance(verdict.outcome, Score)
    )
