"""The preference reward on a checkpoint that it replaces itself, to test what that does to those it is scoring."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rewardmesh.contract import Rollout, Score
from rewardmesh.rewards.preference.reward import PreferenceReward


class SwappingPreference(PreferenceReward):
    """Serves one of two barely trained models, and changes to the other on a rollout of the source "swap"."""

    name = "swapping_preference"

    def __init__(self) -> None:
        from rewardmesh.rewards.preference.demo.text import train_demo  # torch: only where it is hosted

        self._folder = tempfile.TemporaryDirectory()
        home = Path(self._folder.name)
        for seed in range(2):
            train_demo(home / str(seed), seed=seed, steps=2)
        self._link = home / "current"
        self._link.symlink_to(home / "0")
        super().__init__(str(self._link))

    def score(self, rollouts: Sequence[Rollout]) -> list[Score | Exception]:
        """As its parent, and swaps before it."""
        if any(rollout.source == "swap" for rollout in rollouts):
            fresh = self._link.with_name("fresh")
            fresh.symlink_to(self._link.with_name("1"))
            fresh.replace(self._link)
        return super().score(rollouts)
