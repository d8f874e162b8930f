"""What each completion of a group is credited with: its advantage, from its rewards."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from rewardmesh.trainer_client.grpo.advantages import Advantages, group_advantages
from rewardmesh.trainer_client.grpo.gdpo import gdpo_advantages
from rewardmesh.trainer_client.grpo.overlong import overlong_penalty
from rewardmesh.trainer_client.mixing.scaling import scaled_advantages
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
        group.shaped = self._shaped(group)
        if not group.usable(self._config.min_valid):
            return
        advantages = self._advantages(group)
        if advantages.spread[0]:
            task = group.draw.prompt.task
            group.advantages = scaled_advantages(advantages.values, [task], self._config.task_scale)[0]

    def _shaped(self, group: Group) -> list[float | None]:
        overlong = self._config.overlong
        if overlong is None:
            return group.rewards
        penalties = overlong_penalty(group.lengths, overlong.limit, overlong.buffer, overlong.factor).tolist()
        return [
            None if reward is None else reward + less for reward, less in zip(group.rewards, penalties, strict=True)
        ]

    def _advantages(self, group: Group) -> Advantages:
        std, epsilon = self._config.advantage_std, self._config.advantage_epsilon
        judged = torch.tensor([[value is not None for value in group.shaped]])
        weights = self._config.gdpo.get(group.draw.prompt.task)
        if weights is not None:
            parts = torch.tensor([components(group, weights)], dtype=torch.float64)
            return gdpo_advantages(parts, judged, [*weights.values()], std=std, epsilon=epsilon, whiten=False)
        rewards = torch.tensor([[value or 0.0 for value in group.shaped]], dtype=torch.float64)
        return group_advantages(rewards, judged, std=std, epsilon=epsilon)


def components(group: Group, names: Iterable[str]) -> list[list[float]]:
    """The components of a settled group's scores, [size][names]; 0 for those of a completion that earns 0 as a whole.

    Raises:
        ValueError: A score that is not 0 lacks one of them.
    """
    found: list[list[float]] = []
    for number, earned in enumerate(group.rewards):
        score = group.verdicts[number].score
        parts = score.components if score is not None and earned else {}
        missing = [name for name in names if name not in parts]
        if earned and missing:
            raise ValueError(
                f"GDPO of task {group.draw.prompt.task!r} needs the component {missing[0]!r}; its reward's scores have "
                f"{', '.join(parts) or 'none'}"
            )
        found.append([parts.get(name, 0.0) for name in names])
    return found
