"""Several updates on one batch, for experiments that compare with on-policy training."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from rewardmesh.trainer_client.grpo.losses import Counts, Norm, final_scale, group_shares
from rewardmesh.trainer_client.grpo.vanilla import VanillaConfig, vanilla_loss
from rewardmesh.trainer_client.policy.policy import Policy
from rewardmesh.trainer_client.policy.sampling import completion_log_probs
from rewardmesh.trainer_client.training.accumulate import padded
from rewardmesh.trainer_client.training.descent import Descent
from rewardmesh.trainer_client.training.group import Group


class Vanilla:
    """GRPO's inner loop (arXiv 2402.03300, algorithm 1): every update is on the whole batch.

    Args:
        policy: What is trained. A copy of it as it is now is the reference of the KL term.
        descent: Its optimizer.
        config: How far updates may go.
        norm: What the loss is a mean of.
    """

    def __init__(self, policy: Policy, descent: Descent, config: VanillaConfig, norm: Norm) -> None:
        if norm == "task_balanced":
            raise ValueError("vanilla GRPO knows the norms group_token, batch_token and seq")
        self._policy = policy
        self._descent = descent
        self._config = config
        self._norm: Norm = norm
        self._reference = copy.copy(policy)
        if config.kl:
            self._reference.model = copy.deepcopy(policy.model).requires_grad_(False)

    def update(self, groups: Sequence[Group]) -> float:
        """Updates on groups that have advantages, one forward pass each; returns the first gradient's length."""
        counts = sum((self._counts(group) for group in groups), Counts())
        scale = final_scale(self._norm, counts)
        reference = [
            self._log_probs(self._reference, group)[0].detach() if self._config.kl else None for group in groups
        ]
        norms: list[float] = []
        for _ in range(self._config.updates):
            self._descent.begin()
            for group, held in zip(groups, reference, strict=True):
                self._backward(group, scale, held)
            norms.append(self._descent.clip())
            self._descent.step()
        return norms[0]

    def _backward(self, group: Group, scale: float, reference: torch.Tensor | None) -> None:
        assert group.advantages is not None
        log_probs, entropies = self._log_probs(self._policy, group)
        _, mask = padded([completion.tokens for completion in group.completions], self._policy.pad)
        old, _ = padded([completion.log_probs for completion in group.completions], 0)
        judged = torch.tensor([value is not None for value in group.shaped])
        shares = group_shares(self._norm, torch.ones(len(judged)), group.lengths, judged) * scale
        where = log_probs.device
        vanilla_loss(
            log_probs,
            mask.to(where),
            group.advantages.float().to(where),
            shares.float().to(where),
            old.to(where),
            self._config,
            reference,
        ).loss.backward()
        if group.entropy is None:
            group.entropy = torch.where(judged, entropies.sum(dim=1).cpu(), torch.nan)

    def _log_probs(self, policy: Policy, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, mask = padded([completion.tokens for completion in group.completions], policy.pad)
        rows = torch.zeros(len(tokens), dtype=torch.int64)
        with torch.set_grad_enabled(policy is self._policy):
            return completion_log_probs(policy, [policy.encode(group.draw.prompt)], rows, tokens, mask)

    @staticmethod
    def _counts(group: Group) -> Counts:
        return Counts.of_group(group.lengths, torch.tensor([value is not None for value in group.shaped]))
