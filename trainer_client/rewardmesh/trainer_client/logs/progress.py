"""A progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from tqdm import tqdm

from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics

# A task's reward is shown as its mean over about so many steps: a single step's is mostly noise.
_SMOOTHING = 10


class ProgressBar:
    """Shows how far training is, and each task's mean reward of late."""

    def __init__(self, total: int, file: TextIO | None = None) -> None:
        """Shows nothing yet.

        Args:
            total: Steps of the whole run, those before a resume too.
            file: Where to; None: standard error.
        """
        self._bar = tqdm(total=total, file=file, unit="step", dynamic_ncols=True)
        self._rewards: dict[str, float] = {}

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Moves on by one."""
        for task, measured in metrics.tasks.items():
            if measured.reward is not None:
                before = self._rewards.get(task, measured.reward)
                self._rewards[task] = before + (measured.reward - before) / _SMOOTHING
        failures = sum(measured.failures for measured in metrics.tasks.values())
        shown = {task: f"{value:.2f}" for task, value in self._rewards.items()}
        self._bar.set_postfix(shown | ({"failed": failures} if failures else {}), refresh=False)
        self._bar.update(metrics.step + 1 - self._bar.n)

    def rewind(self, step: int) -> None:
        """Moves back."""
        self._rewards.clear()
        self._bar.n = step
        self._bar.refresh()

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()
