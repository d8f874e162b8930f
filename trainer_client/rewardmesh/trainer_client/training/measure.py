"""Measures each task's gradient beside a step, which it does not change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rewardmesh.trainer_client.grpo.losses import Norm
from rewardmesh.trainer_client.interference.gradients import GradientMeasure, GradientReport
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.training.accumulate import Accumulation
from rewardmesh.trainer_client.training.group import Group

# Of models that are larger, so many coordinates are kept of each task's gradient: cosines of 10^7 of them are good to
# three decimals.
MOST_COORDINATES = 10_000_000


def measured(
    policy: Policy, norm: Norm, micro_batch: int, groups: Sequence[Group], factors: Sequence[float]
) -> GradientReport:
    """Reads every group again, alone, and compares the gradients of their tasks; groups of a task take turns in halves.

    Costs about as much as the step's own training. The gradient that the parameters hold is put back as it was.

    Args:
        policy: At the weights the groups are trained on.
        norm: As in the step.
        micro_batch: As in the step.
        groups: All that the step trains on.
        factors: What each group's share of the gradient is multiplied by.
    """
    parameters = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    held = [parameter.grad for parameter in parameters]
    measure = GradientMeasure(parameters, MOST_COORDINATES)
    turn: Counter[str] = Counter()
    try:
        for group, factor in zip(groups, factors, strict=True):
            for parameter in parameters:
                parameter.grad = None
            alone = Accumulation(policy, norm, micro_batch)
            alone.add(group, factor)
            alone.flush()
            task = group.draw.prompt.task
            measure.add(task, 1 if turn[task] % 2 else 0, [parameter.grad for parameter in parameters])
            turn[task] += 1
    finally:
        for parameter, gradient in zip(parameters, held, strict=True):
            parameter.grad = gradient
    return measure.report()
