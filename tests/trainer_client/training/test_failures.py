"""A fifth of the rewards fails, in every way: nothing of it is learnt from, and training goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import zlib
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from rewardmesh.contract import Failure, Outcome, Rollout, Score
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.sync import SyncRewardClient
from rewardmesh.trainer_client.training.metrics import StepMetrics
from tests.trainer_client.alone import alone
from tests.trainer_client.real_router import local
from tests.trainer_client.training.small import CONFIG, Rule, digits, prompts, replaying, same, sampled, trainer

# What the plugin is told to do with one completion of each of four groups, and what comes of it. Those that wait behind
# one that sleeps time out with it: it comes last.
HAZARDS = {"nan": "reward_error", "exceed": "reward_error", "die": "crashed", "sleep 60": "timeout"}
TASK = "isolated_hazard"


class Kept:
    """A log that keeps the rollouts."""

    def __init__(self) -> None:
        self.rollouts: list[RolloutRecord] = []

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        self.rollouts += rollouts

    def rewind(self, step: int) -> None: ...
    def close(self) -> None: ...


async def test_failures_of_a_real_reward_are_not_learnt_from() -> None:
    """The plugin scores 1 what it is not told to fail; completion 0 is cut off, so that there is something to learn."""
    drawn = [dataclasses.replace(prompt, task=TASK) for prompt in prompts(6)[:5]]
    told: dict[str, list[Completion]] = {}
    for prompt, word in zip(drawn, ["well done", *HAZARDS], strict=True):
        *others, last = sorted(sampled()[prompt.id], key=lambda completion: len(completion.tokens))
        good = [dataclasses.replace(each, text="well done", number=number) for number, each in enumerate(others)]
        cut = dataclasses.replace(good[0], truncated=True)
        told[prompt.id] = [cut, *good[1:], dataclasses.replace(last, text=word, number=3)]

    def rule(rollout: Rollout) -> Outcome:
        return Failure("crashed", "as above") if rollout.completion in HAZARDS else Score(1.0)

    config = dataclasses.replace(CONFIG, min_valid=2, prompts_per_wave=1)
    log = Kept()
    async with local(rewards=[TASK]) as router:
        with SyncRewardClient(router.target) as client:
            await asyncio.to_thread(client.score, [prompt.rollout("well done") for prompt in drawn])  # workers start
        with SyncRewardClient(router.target, timeout=3.0) as client:
            real = replaying(client, config, drawn, instead=told)
            real._logs = [log]
            metrics = await alone(real.step)
    assert Counter(r.failure for r in log.rollouts if r.failure) == Counter(HAZARDS.values())
    assert all(r.advantage is None and r.value is None for r in log.rollouts if r.failure)
    assert metrics.trained == len(drawn) == 5
    scripted = replaying(Rule(rule), config, drawn, instead=told)
    scripted.step()
    assert same(real, scripted)


def test_training_gets_as_far_with_a_fifth_of_the_rewards_failing() -> None:
    """Failures that go away when they are asked about again, and others that do not."""
    asked: Counter[tuple[int | None, str]] = Counter()

    def rule(rollout: Rollout) -> Outcome:
        key = (rollout.step, rollout.id)
        asked[key] += 1
        lot = zlib.crc32(f"{key}/{min(asked[key], 2)}".encode()) % 5
        return Failure("crashed", "unlucky") if lot == 0 else digits(rollout)

    config = dataclasses.replace(CONFIG, learning_rate=1e-3, retries=2, min_valid=2)
    clean, failing = trainer(config=config), trainer(rule, config)
    reached: list[float] = []
    for training in (clean, failing):
        steps = [training.step().tasks.values() for _ in range(12)]
        rewards = [fmean(task.reward or 0.0 for task in tasks) for tasks in steps]
        reached.append(fmean(rewards[-3:]) - fmean(rewards[:2]))
    assert len([key for key, count in asked.items() if count > 1]) > 15
    assert min(reached) > 0.2
