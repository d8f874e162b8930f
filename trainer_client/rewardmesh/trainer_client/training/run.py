"""Many steps, with checkpoints: killed at any moment, it goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rewardmesh.trainer_client.logs.log import Log
from rewardmesh.trainer_client.rollout import RewardsFailedError
from rewardmesh.trainer_client.training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from rewardmesh.trainer_client.training.trainer import Trainer

CHECKPOINTS = "checkpoints"


def run(trainer: Trainer, steps: int, out: Path, logs: Sequence[Log], every: int, keep: int = 2) -> None:
    """Trains until `steps` steps are taken, those of earlier runs in the same folder included.

    The trainer takes up the folder's newest checkpoint, and the logs forget what came after it: nothing of it is in the
    weights. Prompts of an unfinished step are drawn again; its completions are not used.

    Args:
        trainer: As it starts; with a checkpoint of its own kind, it becomes what was saved.
        steps: Altogether.
        out: The run's folder.
        logs: The trainer's.
        every: Steps between checkpoints; there is one at the end, too.
        keep: Checkpoints to keep.

    Raises:
        CheckpointError: The checkpoint is damaged or of another run.
        RewardsFailedError: Too many rewards failed. There is a checkpoint of the steps before.
    """
    checkpoints = Checkpoints(out / CHECKPOINTS, keep)
    saved = checkpoints.latest()
    if saved is not None:
        trainer.load_state_dict(saved)
    for log in logs:
        log.rewind(trainer.taken)
    at = trainer.taken
    try:
        while trainer.taken < steps:
            trainer.step()
            if trainer.taken % every == 0 or trainer.taken == steps:
                checkpoints.save(trainer.taken, trainer.state_dict())
                at = trainer.taken
    except (RewardsFailedError, KeyboardInterrupt):
        if trainer.whole and trainer.taken > at:
            checkpoints.save(trainer.taken, trainer.state_dict())
        raise
