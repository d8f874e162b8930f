"""Advantages where each completion has several rewards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rewardmesh.trainer_client.grpo.advantages import MIN_SPREAD, Advantages, Std, group_advantages


def gdpo_advantages(
    rewards: Tensor,
    mask: Tensor,
    weights: Sequence[float],
    *,
    std: Std = "population",
    epsilon: float = 0.0,
    min_spread: float = MIN_SPREAD,
    whiten: bool = True,
) -> Advantages:
    """Each reward made an advantage of its own, and these added up (GDPO, arXiv 2601.05242).

    Rewards that are added up first and normalised then lose what tells them apart: with two rewards in {0, 1}, a group
    with sums (0, 1) and one with sums (0, 2) get the same advantages. Here the second gets larger ones.

    The paper then normalises over the batch. The sums have mean 0 in every group, so that is a division by one number:
    their standard deviation. It runs over the scored completions of groups with spread: ours, as is that a reward on
    which a group agrees adds nothing to it, and that a group whose sums do not spread is dropped.

    Args:
        rewards: [groups, size, rewards]: the parts of composite rewards. Where `mask` is false any value will do.
        mask: [groups, size], bool: False for completions whose reward failed; a part's failure is that of the whole.
        weights: [rewards]: of each part; finite.
        std: As in `group_advantages`, of each part in its group.
        epsilon: Added to both standard deviations.
        min_spread: As in `group_advantages`: of each part, and of the sums.
        whiten: Whether to normalise over the batch. A trainer that sees one group at a time leaves it out: it changes
            the length of the gradient, never its direction.

    Raises:
        ValueError: The shapes differ, a reward that counts or a weight is not finite, or a setting is out of range.
    """
    if rewards.ndim != 3 or rewards.shape[:2] != mask.shape or rewards.shape[2] != len(weights):
        raise ValueError(
            f"rewards must be [groups, size, rewards] with a weight for each reward, "
            f"got {[*rewards.shape]}, mask {[*mask.shape]} and {len(weights)} weights"
        )
    factors = torch.tensor([*weights], dtype=torch.float64)
    if not factors.isfinite().all():
        raise ValueError(f"weights must be finite, got {[*weights]}")
    parts = [
        group_advantages(part, mask, std=std, epsilon=epsilon, min_spread=min_spread).values
        for part in rewards.unbind(dim=2)
    ]
    sums = (torch.stack(parts, dim=2) * factors).sum(dim=2) if parts else torch.zeros(mask.shape, dtype=torch.float64)
    best = torch.where(mask, sums, -torch.inf).amax(dim=1)
    worst = torch.where(mask, sums, torch.inf).amin(dim=1)
    spread = best - worst >= min_spread
    counted = mask & spread[:, None]
    values = torch.where(counted, sums, 0.0)
    if whiten and counted.any():
        deviation = (values.square().sum() / counted.sum()).sqrt() + epsilon
        values = values / deviation
    return Advantages(values, spread)
