"""The whole path, as a trainer uses it: client, router, engine, rewards, and a policy that learns from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rewardmesh.contract import (
    ActionReference,
    Box,
    BoxReference,
    CountReference,
    FreeReference,
    MathReference,
    PointReference,
    PreferenceReference,
    Reference,
    Rollout,
    Score,
    SegmentReference,
    Verdict,
)
from rewardmesh.trainer_client.client import RewardClient
from rewardmesh.trainer_client.demo.mixed_batch import BATCH, table
from rewardmesh.trainer_client.demo.report import table as report_table
from rewardmesh.trainer_client.demo.run import run
from rewardmesh.trainer_client.rollout import Prompt
from rewardmesh.trainer_client.sync import SyncRewardClient
from rewardmesh.trainer_client.training.preflight import PreflightError, preflight
from tests.router.conftest import Router

# Rollout of the mixed batch -> its value, or the kind of its failure.
EXPECTED = {
    "math right": 1.0,
    "math wrong": 0.0,
    "math bomb": 0.0,
    "box right": 0.951,
    "box lazy": 0.565,
    "point right": 1.0,
    "click wrong": 0.0,
    "tap right": 1.0,
    "tap lazy": 0.0,
    "count right": 1.0,
    "count vague": 0.0,
    "moment right": 0.917,
    "moment thought": 0.0,
    "kind words": "unavailable",
    "rude words": "unavailable",
    "bad reference": "invalid_reference",
    "no task": "unclassified",
}


async def test_a_mixed_batch_is_judged_each_by_its_own_reward(router: Router) -> None:
    async with RewardClient(str(router.address)) as client:
        verdicts = await client.score(BATCH, timeout=30)
    judged = {v.id: v.outcome.value if isinstance(v.outcome, Score) else v.outcome.kind for v in verdicts}
    assert judged == {
        name: pytest.approx(value, abs=5e-4) if isinstance(value, float) else value for name, value in EXPECTED.items()
    }
    printed = table(BATCH, verdicts)
    assert all(rollout.id in printed for rollout in BATCH)


async def test_the_demo_trains_with_rewards_from_the_mesh(router: Router) -> None:
    judged = ("grounding", "counting", "temporal", "point", "math")

    def train() -> str:
        with SyncRewardClient(str(router.address)) as client:
            # This router has no reward model.
            report = run(client, seed=0, steps=2, warm_up_steps=2, tasks=judged)
        assert len(report.steps) == 2
        assert all(task.failures == 0 for step in report.steps for task in step.tasks.values())
        assert set(report.scoring) == set(report.changes) == set(judged)
        return report_table(report)

    printed = await asyncio.to_thread(train)
    assert "in standard errors" in printed


async def test_training_refuses_to_start_when_the_rewards_do_not_pay_for_the_truth(router: Router) -> None:
    class Truncating:
        """A trainer's mistake: completions lose their ends on the way."""

        def __init__(self, client: SyncRewardClient) -> None:
            self._client = client

        def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
            cut = [Rollout(r.id, r.completion[:-4], reference=r.reference, task=r.task) for r in rollouts]
            return self._client.score(cut)

    def train() -> None:
        with SyncRewardClient(str(router.address)) as client:
            run(Truncating(client), seed=0, steps=1, warm_up_steps=1)

    with pytest.raises(PreflightError):
        await asyncio.to_thread(train)


# What a data set may hold that no completion can be judged by -> the failure that says so.
@pytest.mark.parametrize(
    ("task", "reference", "kind"),
    [
        ("math", None, "invalid_reference"),
        ("math", MathReference([]), "invalid_reference"),
        ("math", CountReference(3), "invalid_reference"),
        ("grounding", BoxReference([]), "invalid_reference"),
        ("point", PointReference([]), "invalid_reference"),
        ("point", None, "invalid_reference"),
        ("action", ActionReference(""), "invalid_reference"),
        ("action", ActionReference("click", Box(5, 5, 1, 1)), "invalid_reference"),
        ("counting", FreeReference("own"), "invalid_reference"),
        ("temporal", SegmentReference([]), "invalid_reference"),
        ("preference", None, "unavailable"),  # its model is not loaded
        ("preference", PreferenceReference(), "unavailable"),
        ("poetry", None, "unknown_reward"),
        ("", None, "unclassified"),
    ],
)
async def test_training_refuses_to_start_on_what_cannot_be_judged(
    router: Router, task: str, reference: Reference | None, kind: str
) -> None:
    prompts = [Prompt("good", "counting", "here", (), CountReference(3)), Prompt("bad", task, "here", (), reference)]

    def check() -> None:
        with SyncRewardClient(str(router.address)) as client:
            assert preflight(prompts[:1], client) == {"counting": 1}
            preflight(prompts, client)

    with pytest.raises(PreflightError, match=rf"1 of 2 .*:\nbad/0 \(task '{task}'\): .*{kind}"):
        await asyncio.to_thread(check)


async def test_a_plugin_that_needs_no_reference_may_be_trained_with(router: Router) -> None:
    def check() -> dict[str, int]:
        with SyncRewardClient(str(router.address)) as client:
            return preflight([Prompt("p", "brevity", "here", (), None)], client)

    assert await asyncio.to_thread(check) == {"brevity": 1}
