"""A group: the completions of one prompt on their way from being drawn to being trained on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.grpo.advantages import MIN_SPREAD
from rewardmesh.trainer_client.mixing.mixture import Draw
from rewardmesh.trainer_client.policy.completion import Completion
from rewardmesh.trainer_client.rollout import reward


@dataclass(slots=True, eq=False)
class Group:
    """One prompt's completions and what became of them.

    Attributes:
        draw: The prompt, and where it came from.
        round: 0, or the re-draw that it came with.
        completions: All of them, by number; empty until the last has ended.
        rollouts: What the reward was asked about, by number.
        verdicts: What it answered, by number; of a failure, the answer after the last retry.
        shaped: What advantages are made of, by number: the rewards, less a penalty where one is configured.
        advantages: [size], float64; None until they are known, and for groups that taught nothing.
        entropy: [size], float32: in nats, summed over tokens; NaN for completions that were not trained on.
    """

    draw: Draw
    round: int
    completions: list[Completion] = field(default_factory=list[Completion])
    rollouts: dict[int, Rollout] = field(default_factory=dict[int, Rollout])
    verdicts: dict[int, Verdict] = field(default_factory=dict[int, Verdict])
    shaped: list[float | None] = field(default_factory=list[float | None])
    advantages: Tensor | None = None
    entropy: Tensor | None = None

    @property
    def settled(self) -> bool:
        """Every completion has ended and has its verdict."""
        return bool(self.completions) and len(self.verdicts) == len(self.completions)

    @property
    def rewards(self) -> list[float | None]:
        """What the completions earned, by number; None where the reward failed. Of settled groups."""
        return [reward(self.rollouts[i], self.verdicts[i]) for i in range(len(self.completions))]

    @property
    def lengths(self) -> Tensor:
        """[size], int64: tokens, EOS included."""
        return torch.tensor([len(completion.tokens) for completion in self.completions])

    @property
    def alike(self) -> bool:
        """Its rewards hardly differ, so that it teaches nothing."""
        known = [value for value in self.rewards if value is not None]
        return not known or max(known) - min(known) < MIN_SPREAD

    def usable(self, min_valid: int | None) -> bool:
        """Whether enough of it was judged: everything, or at least `min_valid`."""
        failed = sum(verdict.score is None for verdict in self.verdicts.values())
        return not failed or (min_valid is not None and len(self.verdicts) - failed >= min_valid)
