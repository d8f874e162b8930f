"""Advantages of some tasks made larger or smaller."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def scaled_advantages(values: Tensor, tasks: Sequence[str], factors: Mapping[str, float]) -> Tensor:
    """Advantages times the factor of their group's task.

    Unlike a task's weight in the mix, which changes how many of its prompts are drawn, a factor changes how far one
    prompt moves the policy.

    Args:
        values: [groups, size].
        tasks: [groups].
        factors: By task; at least 0. Tasks without one keep their advantages.

    Raises:
        ValueError: A factor is negative or not finite, or there is not one task per group.
    """
    if len(tasks) != len(values):
        raise ValueError(f"got {len(tasks)} tasks of {len(values)} groups")
    if any(not (factor >= 0 and math.isfinite(factor)) for factor in factors.values()):
        raise ValueError(f"factors must be finite and at least 0, got {dict(factors)}")
    return values * torch.tensor([factors.get(task, 1.0) for task in tasks], dtype=values.dtype)[:, None]
