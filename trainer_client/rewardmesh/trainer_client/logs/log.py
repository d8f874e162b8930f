"""What a log is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics


class Log(Protocol):
    """Told of every step, in order, once the optimizer has taken it.

    What `step` was told is on disk when it returns: a process that is killed later loses nothing of it.
    """

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """One step: its metrics, and all rollouts that were sampled for it."""
        ...

    def rewind(self, step: int) -> None:
        """Forgets everything at and after `step`: training goes on from there, and will tell it again."""
        ...

    def close(self) -> None:
        """No step will follow."""
        ...
