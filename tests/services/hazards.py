"""Pools that host the hazard of the example plugin, what it is told, and the processes that come of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rewardmesh.contract import Reference, Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.registry import load
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.places import Judged
from rewardmesh.services.workers import WorkerPool

TRAITS = traits(load("isolated_hazard"))


def new_pool(**options: Any) -> WorkerPool:
    return WorkerPool(RewardSpec("isolated_hazard", options), TRAITS)


def told(words: Sequence[str], reference: Reference | None = None) -> list[Envelope]:
    """Rollouts that are told this, no two of them the same."""
    rollouts = [Rollout(f"{i}", f"{word} #{i}", reference=reference) for i, word in enumerate(words)]
    return [Envelope.seal(rollout) for rollout in rollouts]


async def obey(pool: WorkerPool, words: Sequence[str], reference: Reference | None = None) -> list[Judged]:
    return await pool.outcomes(told(words, reference), time.monotonic() + 240)


def reasons(judged: Sequence[Judged]) -> list[str]:
    return [o.reason if isinstance(o, Score) else o.kind for o, _ in judged]


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def zygotes() -> list[int]:
    """Zygotes of this process."""
    found = [pid for pid in children_of(os.getpid()) if "zygote" in Path(f"/proc/{pid}/cmdline").read_text()]
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come true; how soon is up to the machine."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - processes tell nobody what they do
            await asyncio.sleep(0.02)
