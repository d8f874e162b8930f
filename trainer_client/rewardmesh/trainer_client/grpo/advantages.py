"""How much better than the rest of its group each completion is."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Rewards closer than this are equal. A reward model's scores move by 1e-6 with the shape of its batch, and dividing by
# so small a standard deviation would turn that noise into advantages of 1.
MIN_SPREAD = 1e-4

Std = Literal["population", "sample", "none"]


class Advantages(NamedTuple):
    """Advantages and which groups have any.

    Attributes:
        values: [groups, size], float64: 0 where `mask` is false and in groups without spread.
        spread: [groups], bool: the group has two rewards that differ. Others teach nothing and are dropped.
    """

    values: Tensor
    spread: Tensor


def group_advantages(
    rewards: Tensor,
    mask: Tensor,
    *,
    std: Std = "population",
    epsilon: float = 0.0,
    min_spread: float = MIN_SPREAD,
) -> Advantages:
    """(reward - mean) / (standard deviation + epsilon), as in MiMo-VL (arXiv 2506.03569, section 3.3).

    Mean and standard deviation run over the group's scored completions alone, in float64. The paper names neither the
    flavour of the deviation nor an epsilon, and implementations differ: TRL takes sample + 1e-4, verl sample + 1e-6.
    Groups whose rewards spread less than `min_spread` are dropped, so that no epsilon is needed against dividing by 0.

    Args:
        rewards: [groups, size]. Where `mask` is false any value will do, NaN too.
        mask: [groups, size], bool: False for completions whose reward failed. They belong to no group.
        std: "population" divides by n, "sample" by n - 1; "none" leaves the difference from the mean as it is
            (Dr. GRPO, arXiv 2503.20783).
        epsilon: Added to the standard deviation; at least 0. Without effect where `std` is "none".
        min_spread: The smallest difference between a group's best and worst reward that counts; above 0.

    Raises:
        ValueError: The shapes differ, a reward that counts is not finite, or a setting is out of range.
    """
    if rewards.shape != mask.shape or rewards.ndim != 2:
        raise ValueError(f"rewards and mask must be [groups, size], got {[*rewards.shape]} and {[*mask.shape]}")
    if std not in ("population", "sample", "none"):
        raise ValueError(f'std must be "population", "sample" or "none", got {std!r}')
    if epsilon < 0 or min_spread <= 0:
        raise ValueError(f"epsilon must be at least 0 and min_spread above 0, got {epsilon} and {min_spread}")
    exact = torch.where(mask, rewards.to(torch.float64), 0.0)
    if not exact.isfinite().all():
        raise ValueError("a reward is not finite")
    count = mask.sum(dim=1, keepdim=True)
    centred = torch.where(mask, exact - exact.sum(dim=1, keepdim=True) / count.clamp(min=1), 0.0)
    best = torch.where(mask, exact, -torch.inf).amax(dim=1)
    worst = torch.where(mask, exact, torch.inf).amin(dim=1)
    spread = best - worst >= min_spread  # a group of failures has -inf here
    if std == "none":
        return Advantages(torch.where(spread[:, None], centred, 0.0), spread)
    degrees = (count - 1 if std == "sample" else count).clamp(min=1)
    deviation = (centred.square().sum(dim=1, keepdim=True) / degrees).sqrt() + epsilon
    values = torch.where(spread[:, None], centred / deviation.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return Advantages(values, spread)
