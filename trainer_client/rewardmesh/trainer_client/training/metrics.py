"""What a training step did, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rewardmesh.trainer_client.interference.gradients import GradientReport
from rewardmesh.trainer_client.policy.mismatch import Mismatch
from rewardmesh.trainer_client.training.group import Group


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """One task's share of a step.

    Attributes:
        rollouts: How many were sampled.
        failures: How many could not be judged; they are in none of the numbers below but `length` and `truncated`.
        reward: Mean reward; None when every rollout failed.
        zero_spread: Share of groups whose rewards were all alike, so that they taught nothing; of those with a reward.
        entropy: Mean entropy per token, in nats, over the completions that were trained on; None when there were none.
        length: Mean tokens per completion, EOS included.
        truncated: Share of completions cut off at the length limit.
    """

    rollouts: int
    failures: int
    reward: float | None
    zero_spread: float
    entropy: float | None
    length: float
    truncated: float


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One training step.

    Attributes:
        step: Its number, from 0.
        tasks: By task.
        gradient_norm: Before clipping; None when no group had spread and no step was taken.
        seconds: Time spent sampling ("sample"), waiting for rewards ("score") and training ("update").
        gradients: Each task's, on steps where they were measured.
        redraws: How often groups that taught nothing were replaced.
        trained: Groups that were trained on.
        mismatch: How far the sampler was from the trainer; None when nothing was trained on.
    """

    step: int
    tasks: Mapping[str, TaskMetrics]
    gradient_norm: float | None
    seconds: Mapping[str, float]
    gradients: GradientReport | None = None
    redraws: int = 0
    trained: int = 0
    mismatch: Mismatch | None = None


def task_metrics(groups: Sequence[Group]) -> dict[str, TaskMetrics]:
    """Sums up a step's groups, settled and assessed, by task."""
    by_task: dict[str, list[Group]] = {}
    for group in groups:
        by_task.setdefault(group.draw.prompt.task, []).append(group)
    return {task: _of_task(members) for task, members in by_task.items()}


def _of_task(groups: Sequence[Group]) -> TaskMetrics:
    completions = [completion for group in groups for completion in group.completions]
    rewards = [reward for group in groups for reward in group.rewards]
    known = [reward for reward in rewards if reward is not None]
    trained = [group for group in groups if group.entropy is not None]
    entropies = [group.entropy.nan_to_num(0.0).sum() for group in trained if group.entropy is not None]
    tokens = sum(int(group.lengths[~group.entropy.isnan()].sum()) for group in trained if group.entropy is not None)
    judged = [group for group in groups if any(reward is not None for reward in group.rewards)]
    return TaskMetrics(
        rollouts=len(completions),
        failures=len(rewards) - len(known),
        reward=fmean(known) if known else None,
        zero_spread=sum(group.alike for group in judged) / len(judged) if judged else 0.0,
        entropy=float(sum(entropies)) / tokens if tokens else None,
        length=fmean(len(completion.tokens) for completion in completions),
        truncated=fmean(completion.truncated for completion in completions),
    )
