"""What each completion of a group is credited with: its advantage, from its rewards."""

from __future__ import annotations

import torch

from rewardmesh.trainer_client.grpo.advantages import group_advantages
from rewardmesh.trainer_client.training.config import TrainerConfig
from rewardmesh.trainer_client.training.group import Group


class Credit:
    """Gives groups their advantages, as the configuration says."""

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config

    def assess(self, group: Group) -> None:
        """Fills in `shaped` and `advantages` of a settled group; the latter stays None where there is no spread, or too
        few rewards to tell. Once: a second time changes nothing."""
        if group.shaped:
            return
        config = self._config
        group.shaped = group.rewards
        if not group.usable(config.min_valid):
            return
        rewards = torch.tensor([[torch.nan if value is None else value for value in group.shaped]], dtype=torch.float64)
        advantages = group_advantages(
            rewards, ~rewards.isnan(), std=config.advantage_std, epsilon=config.advantage_epsilon
        )
        if advantages.spread[0]:
            group.advantages = advantages.values[0]
