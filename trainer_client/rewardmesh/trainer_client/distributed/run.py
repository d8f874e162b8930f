"""Many steps by several processes, with checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rewardmesh.trainer_client.distributed.checkpoint import ShardedCheckpoints
from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.logs.log import Log
from rewardmesh.trainer_client.training.metrics import StepMetrics
from rewardmesh.trainer_client.training.run import CHECKPOINTS
from rewardmesh.trainer_client.training.trainer import Trainer


def run(
    trainer: Trainer,
    ranks: Ranks,
    steps: int,
    out: Path,
    every: int,
    logs: Sequence[Log] = (),
    told: Callable[[StepMetrics], None] = lambda metrics: None,
) -> None:
    """Trains until `steps` steps are taken, those of earlier runs in the same folder included.

    Args:
        trainer: This process's, made with the same `ranks`.
        ranks: The processes; all of them call this.
        steps: Altogether.
        out: The run's folder, which all processes see.
        every: Steps between checkpoints; there is one at the end, too.
        logs: The trainer's, on the first process; none on the others.
        told: Called after every step.

    Raises:
        CheckpointError: The checkpoint is damaged or of another run.
        RankFailedError: Something failed on another process.
        RewardsFailedError: Too many rewards failed, on all processes alike.
    """
    checkpoints = ShardedCheckpoints(out / CHECKPOINTS, ranks)
    checkpoints.restore(trainer)
    for log in logs:
        log.rewind(trainer.taken)
    while trainer.taken < steps:
        told(trainer.step())
        if trainer.taken % every == 0 or trainer.taken == steps:
            checkpoints.save(trainer)
