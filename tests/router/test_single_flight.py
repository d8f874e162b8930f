"""Equal rollouts are scored once: in one batch, across callers, and whatever becomes of the one that was scored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from rewardmesh.contract import Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.single_flight import SingleFlight


class Judge:
    """Keeps what it is asked until it is let go; fails texts that say so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go = asyncio.Event()

    async def __call__(self, batch: Sequence[Envelope]) -> list[Verdict]:
        self.asked.append([envelope.message.completion for envelope in batch])
        await self.go.wait()
        return [Verdict(e.id, outcome(e.message.completion), "math", "math", "1", "d", seconds=0.5) for e in batch]


def outcome(text: str) -> Score | Failure:
    return Failure("timeout", "late", retryable=True) if text == "fails" else Score(len(text) / 10)


class Callers:
    def __init__(self) -> None:
        self.flight = SingleFlight()
        self.judge = Judge()

    def ask(self, *texts: str, seconds: float = 10.0) -> asyncio.Task[list[Verdict]]:
        batch = [Envelope.seal(Rollout(f"{i}", text, task="math")) for i, text in enumerate(texts)]
        keys = [(text,) for text in texts]
        return asyncio.create_task(self.flight.ask(batch, keys, time.perf_counter() + seconds, self.judge))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_equal_ones_of_a_batch_are_scored_once() -> None:
    callers = Callers()
    callers.judge.go.set()
    verdicts = await callers.ask("a", "bb", "a", "fails", "fails", "a")
    assert callers.judge.asked == [["a", "bb", "fails"]]
    assert [v.id for v in verdicts] == ["0", "1", "2", "3", "4", "5"]
    assert [v.outcome for v in verdicts] == [outcome(t) for t in ("a", "bb", "a", "fails", "fails", "a")]
    assert [v.cached for v in verdicts] == [False, False, True, False, False, True]
    assert [v.seconds for v in verdicts] == [0.5, 0.5, 0.0, 0.5, 0.0, 0.0]  # nobody's time is counted twice


async def test_callers_wait_for_what_is_under_way() -> None:
    callers = Callers()
    first = callers.ask("a", "bb")
    await settle()
    second = callers.ask("bb", "ccc")
    await settle()
    assert callers.judge.asked == [["a", "bb"], ["ccc"]]
    callers.judge.go.set()
    assert [v.score and v.score.value for v in await second] == [0.2, 0.3]
    assert [v.cached for v in await second] == [True, False]
    assert not any(v.cached for v in await first)
    await callers.ask("a")
    assert len(callers.judge.asked) == 3  # it remembers nothing: that is the cache's


@pytest.mark.parametrize("text", ["fails", "a"])
async def test_anothers_failure_or_leaving_is_not_shared(text: str) -> None:
    callers = Callers()
    first = callers.ask(text)
    await settle()
    second = callers.ask(text)
    await settle()
    assert len(callers.judge.asked) == 1
    if text == "a":
        first.cancel()
    callers.judge.go.set()
    [verdict] = await second
    assert (verdict.outcome, verdict.cached) == (outcome(text), False)
    assert len(callers.judge.asked) == 2


async def test_nobody_waits_beyond_its_own_deadline() -> None:
    callers = Callers()
    first = callers.ask("a")
    await settle()
    second = callers.ask("a", seconds=0.01)
    await asyncio.sleep(0.05)
    assert len(callers.judge.asked) == 2  # it asks, and is told `timeout` like everyone who is late
    callers.judge.go.set()
    assert [v.outcome for v in [*await first, *await second]] == [Score(0.1)] * 2
