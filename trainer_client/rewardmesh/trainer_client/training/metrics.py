"""What a training step did, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from rewardmesh.trainer_client.interference.gradients import GradientReport


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """One task's share of a step.

    Attributes:
        rollouts: How many were sampled.
        failures: How many could not be judged; they are in none of the numbers below but `length` and `truncated`.
        reward: Mean reward; None when every rollout failed.
        zero_spread: Share of groups whose rewards were all alike, so that they taught nothing.
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
    """

    step: int
    tasks: Mapping[str, TaskMetrics]
    gradient_norm: float | None
    seconds: Mapping[str, float]
    gradients: GradientReport | None = None


def task_metrics(
    tasks: Sequence[str],
    rewards: Tensor,
    scored: Tensor,
    spread: Tensor,
    lengths: Tensor,
    truncated: Tensor,
    entropy: Tensor,
) -> dict[str, TaskMetrics]:
    """Sums up a step by task.

    Args:
        tasks: [groups]: the task of each group.
        rewards: [groups, size].
        scored: [groups, size], bool: False where the reward failed.
        spread: [groups], bool.
        lengths: [groups, size]: tokens.
        truncated: [groups, size], bool.
        entropy: [groups, size]: summed over the tokens; NaN for completions that were not trained on.
    """
    found: dict[str, TaskMetrics] = {}
    for task in dict.fromkeys(tasks):
        rows = [i for i, name in enumerate(tasks) if name == task]
        counted = scored[rows]
        trained = ~entropy[rows].isnan()
        found[task] = TaskMetrics(
            rollouts=counted.numel(),
            failures=int((~counted).sum()),
            reward=float(rewards[rows][counted].mean()) if counted.any() else None,
            zero_spread=float((~spread[rows]).double().mean()),
            entropy=float(entropy[rows][trained].sum() / lengths[rows][trained].sum()) if trained.any() else None,
            length=float(lengths[rows].double().mean()),
            truncated=float(truncated[rows].double().mean()),
        )
    return found
