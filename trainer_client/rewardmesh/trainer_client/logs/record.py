"""One rollout as the logs keep it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """A sampled completion, what it earned, and what it weighed.

    Attributes:
        step: The training step that sampled it, from 0.
        prompt: The prompt's id.
        group: The GRPO group's id; a prompt that is drawn twice has two.
        task: Which reward judged it.
        source: The data set's name.
        text: The completion.
        value: The score, in [0, 1]; None when it could not be judged.
        components: The score's parts, by name; None for one that is no number.
        reason: Why the score is what it is; None when it could not be judged.
        failure: The kind of failure; None when it was judged.
        reward: The reward's name; "" when none was found.
        version: The reward's version.
        advantage: What it weighed in training; None when it was not trained on.
        tokens: Its length, EOS included.
        truncated: The length limit came before EOS.
        policy_version: The weights that sampled it.

    Raises:
        ValueError: It is both judged and failed, or neither; or its value is not in [0, 1].
    """

    step: int
    prompt: str
    group: str
    task: str
    source: str
    text: str
    value: float | None
    components: Mapping[str, float | None]
    reason: str | None
    failure: str | None
    reward: str
    version: str
    advantage: float | None
    tokens: int
    truncated: bool
    policy_version: int

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            raise ValueError(f"a rollout has a value or a failure, got {self.value!r} and {self.failure!r}")
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a value is in [0, 1], got {self.value!r}")
