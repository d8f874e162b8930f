"""The preference reward with a model of its own, so that engines can be tested with one that is loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rewardmesh.rewards.preference.reward import PreferenceReward


class TrainedPreference(PreferenceReward):
    """Trains the demo model for a few steps where it is hosted, and loads it from its folder as any checkpoint."""

    name = "trained_preference"

    def __init__(self) -> None:
        from rewardmesh.rewards.preference.demo.text import train_demo  # torch: only where it is hosted

        with tempfile.TemporaryDirectory() as folder:
            train_demo(Path(folder), steps=60)
            super().__init__(folder)
