"""The arithmetic of on-policy GRPO, as in MiMo-VL (arXiv 2506.03569, section 3.3). Pure functions of tensors.

    J = mean over groups of  1 / sum_i |o_i|  *  sum_i sum_j  A_i log pi(o_ij)

One gradient step per rollout: the policy that is updated is the one that sampled, so there is no ratio, no clip and no
KL term. The token denominator is each group's own, not the batch's ("token mean" elsewhere): a group of long answers
weighs as much as a group of short ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Rewards closer than this are equal. A reward model's scores move by 1e-6 with the shape of its batch, and dividing by
# so small a standard deviation would turn that noise into advantages of 1.
MIN_SPREAD = 1e-4


class Advantages(NamedTuple):
    """Advantages and which groups have any.

    Attributes:
        values: [groups, size], float64: 0 where `mask` is false and in groups without spread.
        spread: [groups], bool: the group has two rewards that differ. Others teach nothing and are dropped.
    """

    values: Tensor
    spread: Tensor


def group_advantages(rewards: Tensor, mask: Tensor, min_spread: float = MIN_SPREAD) -> Advantages:
    """How much better than its group each completion is: (reward - mean) / standard deviation.

    Mean and standard deviation (population; the paper does not say which) run over the group's scored completions
    alone, in float64. There is no epsilon: groups whose rewards spread less than `min_spread` are dropped instead.

    Args:
        rewards: [groups, size]. Where `mask` is false any value will do, NaN too.
        mask: [groups, size], bool: False for completions whose reward failed. They belong to no group.
        min_spread: The smallest difference between a group's best and worst reward that counts.

    Raises:
        ValueError: The shapes differ, or a reward that counts is not finite.
    """
    if rewards.shape != mask.shape or rewards.ndim != 2:
        raise ValueError(f"rewards and mask must be [groups, size], got {[*rewards.shape]} and {[*mask.shape]}")
    exact = torch.where(mask, rewards.to(torch.float64), 0.0)
    if not exact.isfinite().all():
        raise ValueError("a reward is not finite")
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    centred = torch.where(mask, exact - exact.sum(dim=1, keepdim=True) / count, 0.0)
    deviation = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
    best = torch.where(mask, exact, -torch.inf).amax(dim=1)
    worst = torch.where(mask, exact, torch.inf).amin(dim=1)
    spread = best - worst >= min_spread  # a group of failures has -inf here
    values = torch.where(spread[:, None], centred / deviation.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return Advantages(values, spread)


def token_weights(advantages: Advantages, lengths: Tensor, mask: Tensor) -> Tensor:
    """What each token of a completion weighs in J: A_i / (tokens of its group * groups).

    Known before the first forward pass, so that micro-batches of any size add up to the same gradient. Groups without
    spread count as if they had not been drawn.

    Args:
        advantages: Of the whole batch.
        lengths: [groups, size]: tokens of each completion, EOS included.
        mask: [groups, size], bool: as in `group_advantages`; failed completions count no tokens.

    Returns:
        [groups, size], float64.
    """
    tokens = (lengths * mask).sum(dim=1, keepdim=True).clamp(min=1)
    groups = advantages.spread.sum().clamp(min=1)
    return advantages.values / (tokens * groups)


def group_token_loss(log_probs: Tensor, token_mask: Tensor, weights: Tensor) -> Tensor:
    """-J, or a micro-batch's share of it: the shares of a batch's micro-batches add up to -J.

    Args:
        log_probs: [completions, tokens]: of the tokens that were sampled.
        token_mask: [completions, tokens], bool: True up to and including EOS.
        weights: [completions], from `token_weights`.
    """
    summed = torch.where(token_mask, log_probs, 0.0).sum(dim=1)
    return -(weights.to(log_probs.dtype) * summed).sum()
