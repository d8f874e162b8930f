"""Runs made up for the tests: curves with noise of known size."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from rewardmesh.trainer_client.interference.history import History

Shape = Callable[[int], float]


def flat(level: float) -> Shape:
    return lambda step: level


def ramp(start: float, end: float, steps: int, begin: int = 0) -> Shape:
    """Level, then straight from `start` to `end` within `steps`, then level."""
    return lambda step: start + (end - start) * min(1.0, max(0.0, (step - begin) / steps))


def rows(
    steps: int,
    rewards: Mapping[str, Shape],
    lengths: Mapping[str, Shape] | None = None,
    zero_spread: Mapping[str, Shape] | None = None,
    entropy: Mapping[str, Shape] | None = None,
    noise: float = 0.02,
    seed: int = 0,
    rollouts: int = 32,
) -> list[dict[str, Any]]:
    """Steps as a `JsonlLog` writes them; `noise` is the rewards' standard deviation, and 5 % that of lengths."""
    rng = random.Random(seed)

    def task(name: str, step: int) -> dict[str, Any]:
        length = (lengths or {}).get(name, flat(12.0))(step)
        return {
            "rollouts": rollouts,
            "failures": 0,
            "reward": rewards[name](step) + rng.gauss(0.0, noise),
            "zero_spread": (zero_spread or {}).get(name, flat(0.2))(step),
            "entropy": (entropy or {}).get(name, flat(0.6))(step),
            "length": length * (1.0 + rng.gauss(0.0, 0.05)),
            "truncated": 0.0,
        }

    return [
        {"step": step, "tasks": {name: task(name, step) for name in rewards}, "gradient_norm": 1.0, "seconds": {}}
        for step in range(steps)
    ]


def history(*arguments: Any, **named: Any) -> History:
    return History(rows(*arguments, **named))
