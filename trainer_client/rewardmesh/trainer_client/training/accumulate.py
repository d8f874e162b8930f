"""Gradients, group by group."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rewardmesh.trainer_client.grpo.losses import Counts, Norm, final_scale, group_shares, policy_loss
from rewardmesh.trainer_client.policy.mismatch import MismatchMeter, importance_weights
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import completion_log_probs
from rewardmesh.trainer_client.training.group import Group


class _Row(NamedTuple):
    group: Group
    number: int
    share: float


class Accumulation:
    """Adds up the gradient of a batch whose groups come one after the other.

    Forward passes hold whole groups as long as they are no larger than `micro_batch`, and which groups they hold
    depends on the order of the groups alone: the gradient is the same to the bit however long one waits between them.

    Args:
        policy: Its parameters' `grad` is added to.
        norm: What the loss is a mean of.
        micro_batch: Completions of a forward pass, at most.
        importance_cap: The largest weight that makes up for a sampler that is a little off; None: no weights.

    Attributes:
        counts: What was trained on so far.
        mismatch: Between sampler and trainer, on what was read so far.
    """

    def __init__(self, policy: Policy, norm: Norm, micro_batch: int, importance_cap: float | None = None) -> None:
        self.counts = Counts()
        self.mismatch = MismatchMeter()
        self._importance_cap = importance_cap
        self._policy = policy
        self._norm: Norm = norm
        self._micro_batch = micro_batch
        self._rows: list[_Row] = []

    @property
    def scale(self) -> float:
        """What the gradient has to be multiplied by in the end."""
        return final_scale(self._norm, self.counts)

    def add(self, group: Group, factor: float = 1.0) -> None:
        """Adds a group that has advantages; failed completions and those with an advantage of 0 are not even read."""
        assert group.advantages is not None
        judged = torch.tensor([value is not None for value in group.shaped])
        shares = group_shares(self._norm, group.advantages, group.lengths, judged) * factor
        self.counts += Counts.of_group(group.lengths, judged)
        group.entropy = torch.full(shares.shape, torch.nan)
        rows = [_Row(group, number, share) for number, share in enumerate(shares.tolist()) if share]
        self._rows += rows
        while len(self._rows) > self._micro_batch:
            self._backward(self._rows[: self._micro_batch])
            del self._rows[: self._micro_batch]
        if len(self._rows) + len(shares) > self._micro_batch:  # another like it would not fit: why wait for it
            self.flush()

    def flush(self) -> None:
        """Reads what is left over."""
        if self._rows:
            self._backward(self._rows)
            self._rows.clear()

    def finish(self) -> None:
        """Reads what is left over, and divides the gradient by what the loss is a mean of."""
        self.flush()
        scale = self.scale
        for parameter in self._policy.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)

    def _backward(self, rows: list[_Row]) -> None:
        groups = list(dict.fromkeys(row.group for row in rows))
        tokens, mask = padded([row.group.completions[row.number].tokens for row in rows], self._policy.pad)
        log_probs, entropies = completion_log_probs(
            self._policy,
            [group.encoding(self._policy) for group in groups],
            torch.tensor([groups.index(row.group) for row in rows]),
            tokens,
            mask,
        )
        where = log_probs.device
        mask = mask.to(where)
        sampled = padded([row.group.completions[row.number].log_probs for row in rows], 0)[0].to(where)
        self.mismatch.add(log_probs, sampled, mask)
        weights = torch.tensor([row.share for row in rows], dtype=torch.float64).to(where, log_probs.dtype)
        if self._importance_cap is not None:
            weights = weights[:, None] * importance_weights(log_probs, sampled, self._importance_cap)
        policy_loss(log_probs, mask, weights).backward()
        for row, entropy in zip(rows, entropies.sum(dim=1).tolist(), strict=True):
            assert row.group.entropy is not None
            row.group.entropy[row.number] = entropy


def padded(rows: list[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as [rows, longest], filled up on the right, and where they are not filled up."""
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(row) for row in rows], device=tokens.device)
    return tokens, torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
