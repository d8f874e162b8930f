"""Sources of prompts with nothing but a number."""

from __future__ import annotations

from collections.abc import Sequence

from rewardmesh.trainer_client.mixing.mixture import Draw, GroupResult
from rewardmesh.trainer_client.mixing.source import Source
from rewardmesh.trainer_client.rollout import Prompt


class Numbered:
    """Prompts that are made when they are asked for."""

    def __init__(self, name: str, task: str, size: int) -> None:
        self.name, self.task, self.size = name, task, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Prompt:
        assert 0 <= index < self.size
        return Prompt(f"{self.name}-{index}", self.task, self.name, (), None)


def source(name: str, task: str, size: int, weight: float = 1.0) -> Source:
    return Source(name, task, Numbered(name, task, size), weight)


def judged(draws: Sequence[Draw], *rewards: float | None) -> list[GroupResult]:
    """All draws with the same rewards."""
    return [GroupResult(draw, rewards) for draw in draws]
