"""How much of each task is in the mix, step by step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol


class Schedule(Protocol):
    """Weights of the tasks, which may follow what is observed.

    `weights` may be asked any number of times and changes nothing; `observe` is told of each step once, in order.
    """

    def weights(self, step: int) -> Mapping[str, float]:
        """The weight of each task at this step: at least 0, not all 0. They need not add up to 1."""
        ...

    def observe(self, step: int, rewards: Mapping[str, float]) -> None:
        """Takes note of the mean reward of each task that was trained in a step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that `observe` has changed, as JSON."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        ...


class FixedMix:
    """The same weights at every step."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Takes the weight of each task.

        Raises:
            ValueError: A weight is negative or not finite, or none is above 0.
        """
        self._weights = checked(weights)

    def weights(self, step: int) -> Mapping[str, float]:
        """The weights."""
        return self._weights

    def observe(self, step: int, rewards: Mapping[str, float]) -> None:
        """Does nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up nothing."""


class CalendarCurriculum:
    """Weights that change at given steps: perception first and reasoning later, say."""

    def __init__(self, stages: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Takes the stages: the step each begins at, and its weights. A task that a stage does not name rests.

        Raises:
            ValueError: The stages do not begin at step 0 or are not in order, or weights are not as in `FixedMix`.
        """
        starts = [start for start, _ in stages]
        if starts[:1] != [0] or any(a >= b for a, b in pairwise(starts)):
            raise ValueError(f"stages must begin at step 0 and each later than the one before, got {starts}")
        self._starts = starts
        self._weights = [checked(weights) for _, weights in stages]

    def weights(self, step: int) -> Mapping[str, float]:
        """The weights of the stage that `step` is in."""
        return self._weights[bisect_right(self._starts, step) - 1]

    def observe(self, step: int, rewards: Mapping[str, float]) -> None:
        """Does nothing: a calendar follows the step alone."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up nothing."""


def checked(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights, if they are any.

    Raises:
        ValueError: A weight is negative or not finite, or none is above 0.
    """
    if any(not (weight >= 0 and math.isfinite(weight)) for weight in weights.values()):
        raise ValueError(f"weights must be finite and at least 0, got {dict(weights)}")
    if not any(weights.values()):
        raise ValueError("at least one task must have a weight above 0")
    return dict(weights)
