"""Between the pipeline and the engine: scores of before, fairness, and no group of two versions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rewardmesh.contract import MathReference, Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.admission import Admission
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.cache.settings import CacheSettings
from rewardmesh.router.dispatch import Asked, Dispatch, batch_size
from rewardmesh.services.engine import RewardStatus


class Counting:
    """An engine that counts what it is asked, and scores by the length of the completion."""

    def __init__(self, **traits: Any) -> None:
        fields = {"cacheable": True, "reads": ("completion", "reference"), "pure": True} | traits
        self._status = RewardStatus("math", "1", "digest", ("math",), True, **fields)
        self.batches: list[list[str]] = []
        self.model = "first"
        self.replicas = 1
        self.gate: asyncio.Event | None = None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def status(self) -> Mapping[str, RewardStatus]:
        return {"math": self._status}

    def targets(self, reward: str) -> int:
        return self.replicas

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        self.batches.append([envelope.id for envelope in batch])
        if self.gate is not None:
            await self.gate.wait()
        return [Verdict(e.id, outcome(e.message.completion, self.model), e.task, reward, "1", "digest") for e in batch]


def outcome(completion: str, model: str) -> Score | Failure:
    if completion == "fails":
        return Failure("timeout", "late", retryable=True)
    return Score(min(1.0, len(completion) / 10), "length", parsed=completion, model=model)


def envelopes(*completions: str, group: str = "") -> list[Envelope]:
    return [
        Envelope.seal(Rollout(f"{i}", text, task="math", group=group, reference=MathReference(["1"])))
        for i, text in enumerate(completions)
    ]


def made(engine: Counting, rollouts: int = 100) -> Dispatch:
    return Dispatch(engine, Admission(rollouts, 1 << 20), ScoreCache(CacheSettings()))


async def ask(engine: Counting, dispatch: Dispatch, batch: list[Envelope], client: str = "") -> list[Verdict]:
    now = time.perf_counter()
    return list(await dispatch.ask(engine.status()["math"], batch, Asked(now, now + 10, client)))


async def test_scores_are_asked_for_once() -> None:
    engine = Counting()
    dispatch = made(engine)
    first = await ask(engine, dispatch, envelopes("a", "bb", "fails"))
    again = await ask(engine, dispatch, envelopes("bb", "a", "ccc", "fails"))
    assert engine.batches == [["0", "1", "2"], ["2", "3"]]
    assert [v.cached for v in first] == [False] * 3
    assert [v.cached for v in again] == [True, True, False, False]
    assert [v.outcome for v in again[:2]] == [first[1].outcome, first[0].outcome]
    assert [v.id for v in again] == ["0", "1", "2", "3"]
    assert isinstance(again[3].outcome, Failure)


async def test_a_cheap_reward_has_no_memory() -> None:
    engine = Counting(cacheable=False)
    dispatch = made(engine)
    await ask(engine, dispatch, envelopes("a"))
    await ask(engine, dispatch, envelopes("a"))
    assert len(engine.batches) == 2


async def test_no_group_mixes_a_remembered_version_with_a_new_one() -> None:
    engine = Counting()
    dispatch = made(engine)
    await ask(engine, dispatch, envelopes("a", "bb", group="g"))
    engine.model = "second"
    mixed = await ask(engine, dispatch, envelopes("a", "ccc", group="g") + envelopes("bb", group="other"))
    models = [v.outcome.model for v in mixed if isinstance(v.outcome, Score)]
    assert models == ["second", "second", "first"]


async def test_scores_of_a_model_that_was_replaced_are_forgotten() -> None:
    engine = Counting(models=("first",))
    dispatch = made(engine)
    await ask(engine, dispatch, envelopes("a"))
    assert (await ask(engine, dispatch, envelopes("a")))[0].cached
    engine.model, engine._status = "second", replace(engine._status, models=("second",))
    [verdict] = await ask(engine, dispatch, envelopes("a"))
    assert (verdict.cached, verdict.score and verdict.score.model) == (False, "second")
    assert (await ask(engine, dispatch, envelopes("a")))[0].cached


async def test_small_messages_travel_together_and_clients_take_turns() -> None:
    engine = Counting(cacheable=False)
    engine.gate = asyncio.Event()
    dispatch = made(engine, 10_000)
    first = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.01)
    greedy = [asyncio.create_task(ask(engine, dispatch, envelopes(*"y" * 100), "greedy")) for _ in range(9)]
    modest = asyncio.create_task(ask(engine, dispatch, envelopes("z"), "modest"))
    await asyncio.sleep(0.01)
    engine.gate.set()
    answers = await asyncio.gather(*first, *greedy, modest)
    assert [len(answer) for answer in answers] == [1, 1, *[100] * 9, 1]
    sizes = [len(batch) for batch in engine.batches]
    assert sum(sizes) == 903
    assert max(sizes) <= 256
    assert sizes[:2] == [2, 201]  # two of the greedy one's, and the modest one's among the first


async def test_cancelled_work_is_not_started() -> None:
    engine = Counting(cacheable=False)
    engine.gate = asyncio.Event()
    dispatch = made(engine)
    busy = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.01)
    more = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(ask(engine, dispatch, envelopes("never")))
    await asyncio.sleep(0.01)
    waiting.cancel()
    engine.gate.set()
    await asyncio.gather(*busy, *more)
    assert sum(len(batch) for batch in engine.batches) == 4


async def test_beyond_the_bound_the_rest_is_overloaded_and_told_when_to_come_back() -> None:
    engine = Counting(cacheable=False)
    verdicts = await ask(engine, made(engine, rollouts=2), envelopes("a", "b", "c"))
    assert [v.score is not None for v in verdicts] == [True, True, False]
    refused = verdicts[2].outcome
    assert isinstance(refused, Failure)
    assert (refused.kind, refused.retryable, refused.retry_after_seconds > 0) == ("overloaded", True, True)
    assert all(v.score for v in await ask(engine, made(engine, rollouts=2), envelopes("a", "b")))


@pytest.mark.parametrize(
    ("pace", "targets", "size"),
    [(0.0, 1, 256), (1e-5, 1, 256), (0.001, 1, 100), (0.001, 2, 50), (0.005, 1, 32), (10.0, 4, 32)],
)
def test_batches_of_slow_rewards_are_small(pace: float, targets: int, size: int) -> None:
    assert batch_size(pace, targets) == size


async def test_each_target_has_two_batches_on_its_way() -> None:
    engine = Counting(cacheable=False)
    engine.replicas = 3
    engine.gate = asyncio.Event()
    dispatch = made(engine, 10_000)
    batch = envelopes(*"x" * 256)
    waiting = [asyncio.create_task(ask(engine, dispatch, batch, str(i))) for i in range(8)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(engine.batches) == 6
    engine.gate.set()
    await asyncio.gather(*waiting)


async def test_time_in_the_queue_is_told() -> None:
    engine = Counting(cacheable=False)
    engine.gate = asyncio.Event()
    dispatch = made(engine)
    first = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.01)
    more = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.01)
    late = asyncio.create_task(ask(engine, dispatch, envelopes("y", "z")))
    await asyncio.sleep(0.5)
    engine.gate.set()
    await asyncio.gather(*first, *more)
    waited = [verdict.queued for verdict in await late]
    assert 0.4 <= waited[0] == waited[1] < 60
    assert max(verdict.queued for verdict in await first[0]) < 0.4


async def test_equal_rollouts_are_scored_once() -> None:
    engine = Counting()
    dispatch = made(engine)
    verdicts = await ask(engine, dispatch, envelopes("a", "bb", "a"))
    assert [len(batch) for batch in engine.batches] == [2]
    assert [v.id for v in verdicts] == ["0", "1", "2"]
    assert [v.cached for v in verdicts] == [False, False, True]


async def test_batches_of_a_slow_reward_stay_small_once_that_is_known() -> None:
    engine = Counting(cacheable=False)
    engine.gate = asyncio.Event()
    admission = Admission(10_000, 1 << 20)
    dispatch = Dispatch(engine, admission, None)
    first = [asyncio.create_task(ask(engine, dispatch, envelopes("x"))) for _ in range(2)]
    await asyncio.sleep(0.05)
    engine.gate.set()
    await asyncio.gather(*first)  # 0.025 s each, as far as anyone can tell
    engine.gate.clear()
    waiting = [asyncio.create_task(ask(engine, dispatch, envelopes(*"y" * 16), str(i))) for i in range(16)]
    for _ in range(50):
        await asyncio.sleep(0)
    engine.gate.set()
    await asyncio.gather(*waiting)
    assert admission.pace("math") > 0
    assert max(len(batch) for batch in engine.batches) == 32
