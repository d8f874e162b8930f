"""Metrics as JSON lines: a step each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewardmesh.trainer_client.logs.lines import Lines, read_lines
from rewardmesh.trainer_client.logs.plain import plain
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics


class JsonlLog:
    """Appends each step's metrics to a file, as `dataclasses.asdict` names them; the rollouts it leaves to others."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it and its folder."""
        self._lines = Lines(path)

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Writes one line."""
        self._lines.append([plain(metrics)])

    def rewind(self, step: int) -> None:
        """Drops the lines of `step` and all after it."""
        self._lines.cut(lambda row: row["step"] < step)

    def close(self) -> None:
        """Nothing is left to do: every line is on disk."""


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The steps a `JsonlLog` wrote: `StepMetrics` as JSON, in order."""
    return read_lines(path)
