"""Looks for warnings while a run runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rewardmesh.trainer_client.interference.alarms import Alarms, Thresholds
from rewardmesh.trainer_client.interference.history import History
from rewardmesh.trainer_client.logs.jsonl import read_steps
from rewardmesh.trainer_client.logs.lines import Lines
from rewardmesh.trainer_client.logs.plain import plain
from rewardmesh.trainer_client.logs.record import RolloutRecord
from rewardmesh.trainer_client.training.metrics import StepMetrics

_log = logging.getLogger(__name__)


class Watch:
    """A log that says when something goes wrong between the tasks, and writes it to a file of JSON lines."""

    def __init__(
        self,
        path: Path,
        metrics: Path,
        thresholds: Thresholds | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        """Opens the file, or makes it.

        Args:
            path: Where warnings go: `Alarm` as JSON, a line each, when they arise.
            metrics: What the run's `JsonlLog` writes: the history to go on with after a resume.
            thresholds: When a warning is due.
            say: Told each warning.
        """
        self._lines = Lines(path)
        self._metrics = metrics
        self._thresholds = thresholds
        self._say = say
        self._history = History()
        self._alarms = Alarms(thresholds)

    def step(self, metrics: StepMetrics, rollouts: Sequence[RolloutRecord]) -> None:
        """Looks at the run with this step."""
        self._history.add(plain(metrics))
        for alarm in self._alarms.check(self._history):
            self._lines.append([plain(alarm)])
            self._say(f"step {alarm.step}: {alarm.kind}: {alarm.task}: {alarm.message}")

    def rewind(self, step: int) -> None:
        """Forgets what was seen at and after `step`, and reads again what came before."""
        self._lines.cut(lambda row: row["step"] < step)
        self._history, self._alarms = History(), Alarms(self._thresholds)
        for row in read_steps(self._metrics):
            if row["step"] < step:
                self._history.add(row)
                for _ in self._alarms.check(self._history):
                    pass  # said and written before

    def close(self) -> None:
        """Nothing is left to do."""
