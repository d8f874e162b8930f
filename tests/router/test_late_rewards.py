"""Rewards that come up while a router runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rewardmesh.contract import Rollout, Score, Verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.pipeline import Pipeline
from rewardmesh.router.settings import Settings
from rewardmesh.services.engine import RewardStatus


class Growing:
    """An engine whose rewards come up one by one, told of in the same mapping."""

    def __init__(self) -> None:
        self.statuses = {"early": RewardStatus("early", "1", "d", ("early",), ready=True)}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def status(self) -> Mapping[str, RewardStatus]:
        return self.statuses

    def targets(self, reward: str) -> int:
        return 0

    async def score(self, reward: str, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        return [Verdict(envelope.id, Score(1.0), envelope.task, reward) for envelope in batch]


async def kinds(pipeline: Pipeline, envelope: Envelope) -> list[str]:
    return [verdict.failure.kind for verdict in await pipeline.score([envelope]) if verdict.failure]


async def test_a_reward_that_comes_up_late_brings_its_tasks() -> None:
    engine = Growing()
    pipeline = Pipeline(engine, Settings(), Metrics())
    late = Envelope.seal(Rollout("r", "text", task="finding"))
    assert await kinds(pipeline, late) == ["unknown_reward"]
    engine.statuses["late"] = RewardStatus("late", "1", "d", (), ready=False)
    assert await kinds(pipeline, late) == ["unknown_reward"]
    engine.statuses["late"] = RewardStatus("late", "1", "d", ("finding",), ready=True)
    [verdict] = await pipeline.score([late])
    assert (verdict.reward, verdict.score) == ("late", Score(1.0))
