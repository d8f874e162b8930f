"""Curves for Weights & Biases, where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.logs.plain import curves, plain
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics


class WandbLog:
    """Sends each step's numbers to a wandb run."""

    def __init__(self, project: str, run_id: str, folder: Path, **options: Any) -> None:
        """Begins the run, or goes on with it.

        Args:
            project: Whose run it is.
            run_id: The same after a resume, so that it is the same run.
            folder: Where wandb keeps its own files.
            options: More for `wandb.init`: `mode="offline"`, `config`, ...

        Raises:
            ModuleNotFoundError: wandb is not installed.
        """
        wandb = importlib.import_module("wandb")
        folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(project=project, id=run_id, dir=str(folder), resume="allow", **options)

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Sends one point of each curve."""
        self._run.log(curves(plain(metrics)), step=metrics.step)

    def rewind(self, step: int) -> None:
        """Does nothing: wandb takes no step twice, and a resumed run's steps are those it has already."""

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()
