"""Gradients, group by group."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rewardmesh.trainer_client.distributed.ranks import ALONE, Ranks
from rewardmesh.trainer_client.grpo.losses import Counts, Norm, final_scale, group_shares, policy_loss
from rewardmesh.trainer_client.policy.mismatch import MismatchMeter, importance_weights
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import completion_log_probs
from rewardmesh.trainer_client.training.group import Group


class _Row(NamedTuple):
    place: int
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
        ranks: The processes that do this together: groups are dealt out to them in turn, and all of them make as many
            passes, as a sharded model needs it. Their gradients are averaged by the model.

    Attributes:
        counts: What was trained on so far.
        mismatch: Between sampler and trainer, on what was read so far.
    """

    def __init__(
        self, policy: Policy, norm: Norm, micro_batch: int, importance_cap: float | None = None, ranks: Ranks = ALONE
    ) -> None:
        self.counts = Counts()
        self.mismatch = MismatchMeter()
        self._importance_cap = importance_cap
        self._policy = policy
        self._norm: Norm = norm
        self._micro_batch = micro_batch
        self._ranks = ranks
        self._rows: list[list[_Row]] = [[] for _ in range(ranks.world)]
        self._turn = 0
        self._added: list[Group] = []
        self._entropies: list[tuple[int, int, float]] = []

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
        place = len(self._added)
        self._added.append(group)
        rows = [_Row(place, group, number, share) for number, share in enumerate(shares.tolist()) if share]
        self._rows[self._turn] += rows
        self._turn = (self._turn + 1) % self._ranks.world
        while self._most > self._micro_batch:
            self._pass()
        # Another turn like it would not fit: why wait for it
        if self._turn == 0 and self._most + len(shares) > self._micro_batch:
            self.flush()

    def flush(self) -> None:
        """Reads what is left over."""
        while self._most:
            self._pass()

    def finish(self) -> None:
        """Reads what is left over, and divides the gradient by what the loss is a mean of."""
        self.flush()
        if self._ranks.world > 1:
            self._share()
        scale = self.scale * self._ranks.world
        for parameter in self._policy.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)

    @property
    def _most(self) -> int:
        """The longest queue of any process."""
        return max(map(len, self._rows))

    def _pass(self) -> None:
        """One forward and backward pass on every process, of the first of its rows."""
        longest = max(self._rows, key=len)
        idle = [longest[0]._replace(share=0.0)]  # weighs nothing: its gradient is 0
        self._backward(self._rows[self._ranks.rank][: self._micro_batch] or idle)
        for rows in self._rows:
            del rows[: self._micro_batch]

    def _share(self) -> None:
        """Tells the others what was found on the way, and learns what they found."""
        found = self._ranks.gather((self._entropies, self.mismatch))
        self.mismatch = sum((mismatch for _, mismatch in found), MismatchMeter())
        for entropies, _ in found:
            for place, number, entropy in entropies:
                held = self._added[place].entropy
                assert held is not None
                held[number] = entropy

    def _backward(self, rows: list[_Row]) -> None:
        groups = list(dict.fromkeys(row.group for row in rows))
        tokens, mask = padded([row.group.completions[row.number].tokens for row in rows], self._policy.pad)
        log_probs, entropies = completion_log_probs(
            self._policy,
            [self._policy.encode(group.draw.prompt) for group in groups],
            torch.tensor([groups.index(row.group) for row in rows]),
            tokens,
            mask,
        )
        where = log_probs.device
        mask = mask.to(where)
        sampled = padded([row.group.completions[row.number].log_probs for row in rows], 0)[0].to(where)
        weights = torch.tensor([row.share for row in rows], dtype=torch.float64).to(where, log_probs.dtype)
        if weights.any():
            self.mismatch.add(log_probs, sampled, mask)
        if self._importance_cap is not None:
            weights = weights[:, None] * importance_weights(log_probs, sampled, self._importance_cap)
        policy_loss(log_probs, mask, weights).backward()
        for row, entropy in zip(rows, entropies.sum(dim=1).tolist(), strict=True):
            if row.share:
                assert row.group.entropy is not None
                row.group.entropy[row.number] = entropy
                self._entropies.append((row.place, row.number, entropy))


def padded(rows: list[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as [rows, longest], filled up on the right, and where they are not filled up."""
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(row) for row in rows], device=tokens.device)
    return tokens, torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
