"""Curves for TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard.writer import SummaryWriter

from rewardmesh.trainer_client.logs.plain import curves, plain
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics

_PREFIX = "events.out.tfevents."


class TensorBoardLog:
    """Writes each step's numbers as scalars: `reward/math`, `length/counting`, `seconds/sample`."""

    def __init__(self, folder: Path) -> None:
        """Prepares for writing to the folder, beside what an earlier process wrote there."""
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Writes one point of each curve."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder))
        for name, value in curves(plain(metrics)).items():
            self._writer.add_scalar(name, value, metrics.step)
        self._writer.flush()

    def rewind(self, step: int) -> None:
        """Begins a new file whose first event says that training started again at `step`.

        TensorBoard's readers then drop the older files' points from there on; the files themselves are kept.
        """
        self.close()
        # Readers take files by name, which begins with the second: of two from one second the later may come first.
        while any(file.name.split(".")[3] == f"{int(time.time()):010d}" for file in self._folder.glob(f"{_PREFIX}*")):
            time.sleep(0.01)
        self._writer = SummaryWriter(str(self._folder), purge_step=step)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
