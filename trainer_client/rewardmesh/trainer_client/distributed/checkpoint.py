"""Checkpoints in pieces: each process writes its shard, and any number of processes can read them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from rewardmesh.trainer_client.distributed.ranks import Ranks
from rewardmesh.trainer_client.training.checkpoint import CheckpointError
from rewardmesh.trainer_client.training.trainer import Trainer

_NAME = re.compile(r"step-(\d{8})")
_REST = "rest.pt"


class ShardedCheckpoints:
    """The checkpoints of a run of several processes: a folder each, there whole or not at all.

    Model and optimizer are in the format of torch.distributed.checkpoint; everything else is small, the same on all
    processes, and written by the first. All methods are called by all processes.

    Args:
        folder: The run's own, on a file system that all processes see.
        ranks: The processes.
        keep: How many to keep; the oldest go first.
    """

    def __init__(self, folder: Path, ranks: Ranks, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"a run needs at least one checkpoint to go on from, got keep={keep}")
        self._folder = folder
        self._ranks = ranks
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, trainer: Trainer) -> None:
        """Saves a trainer after its last whole step.

        Raises:
            RankFailedError: Another process could not write its piece.
            Exception: Whatever writing raises here.
        """
        path = self._folder / f"step-{trainer.taken:08d}"
        part = path.with_suffix(".part")
        if self._ranks.rank == 0:
            shutil.rmtree(part, ignore_errors=True)
        self._ranks.gather(None)
        state = trainer.state_dict()
        model, optimizer = get_state_dict(trainer.policy.model, trainer.descent.optimizer)
        held = {"model": model, "optimizer": optimizer}
        self._ranks.together(lambda: save(held, checkpoint_id=part, process_group=self._ranks.group))
        if self._ranks.rank == 0:
            rest = {name: value for name, value in state.items() if name not in ("model", "descent")}
            torch.save({**rest, "schedule": state["descent"]["schedule"]}, part / _REST)
            for written in [*part.iterdir(), part]:
                _to_disk(written)
            os.rename(part, path)
            _to_disk(self._folder)
            for old in self._folders()[: -self._keep]:
                shutil.rmtree(old)
        self._ranks.gather(None)

    def restore(self, trainer: Trainer) -> bool:
        """Has a trainer go on from the newest checkpoint; False if there is none.

        Raises:
            CheckpointError: It is damaged, or of another run.
        """
        folders = self._folders()
        if not folders:
            return False
        newest = folders[-1]
        model, optimizer = get_state_dict(trainer.policy.model, trainer.descent.optimizer)
        held = {"model": model, "optimizer": optimizer}
        try:
            rest: dict[str, Any] = torch.load(newest / _REST, weights_only=True)
            load(held, checkpoint_id=newest, process_group=self._ranks.group)
        except Exception as error:  # torch raises whatever its readers stumble over
            raise CheckpointError(f"{newest} cannot be read: {error}") from error
        set_state_dict(
            trainer.policy.model,
            trainer.descent.optimizer,
            model_state_dict=cast(Any, model),
            optim_state_dict=optimizer,
        )
        schedule = rest.pop("schedule")
        descent = {"optimizer": trainer.descent.optimizer.state_dict(), "schedule": schedule}
        trainer.load_state_dict({**rest, "model": trainer.policy.model.state_dict(), "descent": descent})
        return True

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))


def _to_disk(path: Path) -> None:
    """What is written under a path, its own entries if it is a folder, survives a power cut from here on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
