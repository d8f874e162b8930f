"""Checkpoints: one file each, there whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rewardmesh.trainer_client.logs.lines import publish

_NAME = re.compile(r"step-(\d{8})\.pt")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be gone on from."""


class Checkpoints:
    """The checkpoints of a run, in a folder of their own.

    A file is written under another name, and gets its own when it is on disk: a process that is killed in the middle
    leaves the checkpoints before it as they were.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        """Opens the folder, or makes it, and removes what a killed process left unfinished.

        Args:
            folder: The run's own.
            keep: How many to keep; the oldest go first.

        Raises:
            ValueError: `keep` is below 1.
        """
        if keep < 1:
            raise ValueError(f"a run needs at least one checkpoint to go on from, got keep={keep}")
        self._folder = folder
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.part"):
            unfinished.unlink()

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Saves what `latest` will give: tensors, numbers, texts, and lists and dicts of them."""
        path = self._folder / f"step-{step:08d}.pt"
        part = path.with_suffix(".part")
        torch.save(dict(state), part)
        publish(part, path)
        for old in self._files()[: -self._keep]:
            old.unlink()
        return path

    @property
    def newest(self) -> int | None:
        """The step of the newest; None if there is none."""
        files = self._files()
        return int(files[-1].stem.removeprefix("step-")) if files else None

    def latest(self) -> dict[str, Any] | None:
        """The newest, its tensors on the CPU; None if there is none.

        Raises:
            CheckpointError: The file is damaged. It is not passed over: the logs belong to it.
        """
        files = self._files()
        if not files:
            return None
        try:
            return torch.load(files[-1], map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever its reader stumbles over
            raise CheckpointError(f"{files[-1]} cannot be read: {error}") from error

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
