"""A set of prompts of one task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from rewardmesh.trainer_client.rollout import Prompt


class Prompts(Protocol):
    """Prompts by number: a list, or anything that reads or renders them when asked."""

    def __len__(self) -> int:
        """How many there are; never changes."""
        ...

    def __getitem__(self, index: int, /) -> Prompt:
        """The prompt number `index`, always the same."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that prompts are drawn from.

    Attributes:
        name: Unique in a mixture.
        task: The task of all its prompts.
        prompts: At least one.
        weight: Its share beside the other sources of its task; in a mixture without a schedule, beside all sources.

    Raises:
        ValueError: There are no prompts, or the weight is not above 0 and finite.
    """

    name: str
    task: str
    prompts: Prompts
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not len(self.prompts):
            raise ValueError(f"source {self.name!r} has no prompts")
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise ValueError(f"the weight of source {self.name!r} must be above 0, got {self.weight}")
