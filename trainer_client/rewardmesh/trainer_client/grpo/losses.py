"""The loss of on-policy GRPO. Pure functions of tensors.

    J = mean over groups of  1 / sum_i |o_i|  *  sum_i sum_j  A_i log pi(o_ij)      (MiMo-VL, arXiv 2506.03569, 3.3)

One gradient step per rollout: the policy that is updated is the one that sampled, so there is no ratio, no clip and no
KL term. That is the norm "group_token": the token denominator is each group's own, so that a group of long answers
weighs as much as a group of short ones. What others divide by:

    group_token     1/G sum_g 1/T_g sum_i sum_j      T_g: tokens of group g; G: groups
    batch_token     1/T sum_g sum_i sum_j            T: tokens of the batch (DAPO; "token mean" in TRL, verl, OpenRLHF)
    seq             1/N sum_g sum_i 1/|o_i| sum_j    N: completions of the batch (GRPO as first published, 2402.03300)
    task_balanced   the mean over tasks of each task's group_token: ours, for mixes in which tasks differ in number

A group's gradient can be taken before the others' verdicts are known: what depends on the whole batch is one factor,
which the gradients are multiplied by at the end. For a batch that is all there, `token_weights` has everything in it.

Failed completions and groups without spread count nowhere, as if they had not been drawn. (TRL counts the tokens of
groups without spread in its batch's denominator.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from rewardmesh.trainer_client.grpo.advantages import Advantages

Norm = Literal["group_token", "batch_token", "seq", "task_balanced"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was trained on: add up the groups', and across processes.

    Attributes:
        groups: Groups with spread.
        tokens: Tokens of their scored completions, EOS included.
        sequences: Their scored completions.
    """

    groups: int = 0
    tokens: int = 0
    sequences: int = 0

    @classmethod
    def of_group(cls, lengths: Tensor, mask: Tensor) -> Counts:
        """The counts of one group with spread; `lengths` and `mask` as in `group_shares`."""
        return cls(1, int((lengths * mask).sum()), int(mask.sum()))

    def __add__(self, other: Counts) -> Counts:
        """The counts of both."""
        return Counts(self.groups + other.groups, self.tokens + other.tokens, self.sequences + other.sequences)


def group_shares(norm: Norm, advantages: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
    """What each token of a group's completions weighs in J, but for the factor that `final_scale` gives.

    Args:
        norm: As above. "task_balanced" is "group_token" times `task_weights`.
        advantages: [size]: of one group with spread. Ones give what each token counts in a mean over tokens.
        lengths: [size]: tokens of each completion, EOS included.
        mask: [size], bool: False for completions whose reward failed.

    Returns:
        [size], float64: 0 where `mask` is false.

    Raises:
        ValueError: The norm is unknown.
    """
    if norm not in get_args(Norm):
        raise ValueError(f"norm must be one of {', '.join(get_args(Norm))}, got {norm!r}")
    kept = torch.where(mask, advantages.to(torch.float64), 0.0)
    if norm == "batch_token":
        return kept
    if norm == "seq":
        return kept / lengths.clamp(min=1)
    return kept / (lengths * mask).sum().clamp(min=1)


def final_scale(norm: Norm, counts: Counts) -> float:
    """What the gradients of all groups' `group_shares` are multiplied by, once, before clipping and the optimizer."""
    if norm == "task_balanced":
        return 1.0  # `task_weights` has it
    over = {"group_token": counts.groups, "batch_token": counts.tokens, "seq": counts.sequences}[norm]
    return 1.0 / max(1, over)


def task_weights(tasks: Sequence[str]) -> Tensor:
    """What each group's shares are multiplied by under "task_balanced": 1 / (tasks * groups of its task).

    Needs the tasks of all groups that will be trained on, so training starts when the last verdict is there.

    Args:
        tasks: Of each group with spread.

    Returns:
        [groups], float64: adds up to 1.
    """
    groups = Counter(tasks)
    return torch.tensor([1.0 / (len(groups) * groups[task]) for task in tasks], dtype=torch.float64)


def token_weights(
    advantages: Advantages,
    lengths: Tensor,
    mask: Tensor,
    norm: Norm = "group_token",
    tasks: Sequence[str] | None = None,
) -> Tensor:
    """What each token of a completion weighs in J, for a batch whose verdicts are all there.

    Known before the first forward pass, so that micro-batches of any size add up to the same gradient.

    Args:
        advantages: Of the whole batch.
        lengths: [groups, size]: tokens of each completion, EOS included.
        mask: [groups, size], bool: as in `group_advantages`; failed completions count no tokens.
        norm: As above.
        tasks: The task of each group; needed for "task_balanced" alone.

    Returns:
        [groups, size], float64: 0 in groups without spread.

    Raises:
        ValueError: The norm is unknown, or is "task_balanced" and there are no tasks.
    """
    weights = torch.zeros(lengths.shape, dtype=torch.float64)
    kept = [g for g, spread in enumerate(advantages.spread.tolist()) if spread]
    counts = Counts()
    for g in kept:
        weights[g] = group_shares(norm, advantages.values[g], lengths[g], mask[g])
        counts += Counts.of_group(lengths[g], mask[g])
    if norm == "task_balanced":
        if tasks is None or len(tasks) != len(lengths):
            raise ValueError("the norm task_balanced needs the task of each group")
        weights[kept] *= task_weights([tasks[g] for g in kept])[:, None]
    return weights * final_scale(norm, counts)


def policy_loss(log_probs: Tensor, token_mask: Tensor, weights: Tensor) -> Tensor:
    """-J, or a micro-batch's share of it: the shares of a batch's micro-batches add up to -J.

    Args:
        log_probs: [completions, tokens]: of the tokens that were sampled.
        token_mask: [completions, tokens], bool: True up to and including EOS.
        weights: [completions], from `token_weights` or `group_shares`; or [completions, tokens], where tokens of one
            completion weigh differently.
    """
    weights = weights.to(log_probs.dtype)
    per_token = weights if weights.ndim == 2 else weights[:, None]
    # Where the mask is false anything may stand, -inf and NaN too: it must not even be multiplied.
    return -(torch.where(token_mask, per_token, 0.0) * torch.where(token_mask, log_probs, 0.0)).sum()
