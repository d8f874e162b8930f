"""A run's folder, and the logs that fill it."""

from __future__ import annotations

from pathlib import Path

from rewardmesh.trainer_client.interference.watch import Watch
from rewardmesh.trainer_client.logs.jsonl import JsonlLog
from rewardmesh.trainer_client.logs.log import Log
from rewardmesh.trainer_client.logs.parquet import ParquetLog
from rewardmesh.trainer_client.logs.progress import ProgressBar
from rewardmesh.trainer_client.logs.tensorboard import TensorBoardLog
from rewardmesh.trainer_client.logs.wandb import WandbLog

METRICS = "metrics.jsonl"
ROLLOUTS = "rollouts"
ALARMS = "alarms.jsonl"
TENSORBOARD = "tensorboard"
WANDB = "wandb"


def open_logs(folder: Path, total: int | None = None, wandb_project: str | None = None) -> list[Log]:
    """All logs of a run: metrics, rollouts, warnings and curves in its folder, and what else is asked for.

    Args:
        folder: The run's own.
        total: Steps of the whole run, for a progress bar; None: no bar.
        wandb_project: Send the curves there too, as a run named like the folder.

    Raises:
        ModuleNotFoundError: wandb is asked for and not installed.
    """
    logs: list[Log] = [
        JsonlLog(folder / METRICS),
        ParquetLog(folder / ROLLOUTS),
        TensorBoardLog(folder / TENSORBOARD),
        Watch(folder / ALARMS, folder / METRICS),
    ]
    if wandb_project is not None:
        logs.append(WandbLog(wandb_project, folder.resolve().name, folder / WANDB))
    if total is not None:
        logs.append(ProgressBar(total))
    return logs
