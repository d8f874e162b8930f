"""What a training needs to go on after it was killed, in one file that is always whole."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

FOLDER = "training"
_FILE = "state.pt"


class ResumeError(ValueError):
    """There is no training to resume, or it is another one."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training stands.

    Attributes:
        epoch: From 0 on.
        step: Batches of this epoch that are done.
    """

    epoch: int = 0
    step: int = 0


class TrainingState:
    """The model, optimiser and schedule of one training, to be saved and restored together.

    Only what is trained is stored: frozen weights come from the base model, which must still be the same.

    Args:
        out: The checkpoint folder; the state lies in its subfolder `training`.
        settings: What must be the same for the training to be the same: options, digest of the data.
        model: What is trained.
        optimiser: Of its weights.
        schedule: Of the optimiser.
    """

    def __init__(
        self, out: Path, settings: dict[str, Any], model: nn.Module, optimiser: Optimizer, schedule: LRScheduler
    ) -> None:
        self._folder = out / FOLDER
        self._settings = settings
        self._model = model
        self._optimiser = optimiser
        self._schedule = schedule

    def save(self, position: Position) -> None:
        """Writes all of it; a crash leaves the file before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "settings": self._settings,
            "position": asdict(position),
            "weights": self._trained(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        beside = self._folder / f"{_FILE}.new"
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name on an empty file
        beside.replace(self._folder / _FILE)

    def restore(self) -> Position:
        """Brings everything to where the last save was.

        Raises:
            ResumeError: There is none, or it is of a training with other settings.
        """
        file = self._folder / _FILE
        if not file.exists():
            raise ResumeError(f"nothing to resume: there is no {file}; leave --resume out to start")
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ResumeError(f"{file} cannot be read: {error}") from error
        for name, value in self._settings.items():
            if state["settings"].get(name) != value:
                was = state["settings"].get(name)
                raise ResumeError(f"cannot resume: the training in {self._folder} had {name} {was!r}, not {value!r}")
        trained = self._trained()
        with torch.no_grad():
            for name, weight in state["weights"].items():
                trained[name].copy_(weight)
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        return Position(**state["position"])

    def remove(self) -> None:
        """The training is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _trained(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._model.named_parameters() if p.requires_grad}


def unfinished(out: Path) -> bool:
    """Whether a training into this folder was begun and did not end."""
    return (out / FOLDER / _FILE).exists()
