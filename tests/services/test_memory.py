"""Workers stay small however much they score."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from rewardmesh.contract.envelope import Envelope
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.registry import load
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.worker import GROWTH_BYTES
from rewardmesh.services.workers import WorkerPool

from .hazards import children_of, zygotes
from .honest import honest

BATCH = 1000
# What one rollout may add before the worker is asked how large it is; and libraries' pages that it touches late.
SLACK = 32 << 20


def resident(pid: int) -> int:
    """Bytes of memory that a process has, those it shares included; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


async def test_ten_thousand_rollouts_leave_workers_as_large_as_two_thousand() -> None:
    before = set(zygotes())
    pool = WorkerPool(RewardSpec("math"), traits(load("math")))
    await pool.start()
    [zygote] = set(zygotes()) - before
    sizes: list[int] = []
    for first in range(0, 10_000, BATCH):
        rollouts, values = zip(*map(honest, range(first, first + BATCH)), strict=True)
        judged = await pool.outcomes([Envelope.seal(rollout) for rollout in rollouts], time.monotonic() + 250)
        wrong = [j for j, value in zip(judged, values, strict=True) if getattr(j.outcome, "value", None) != value]
        assert not wrong
        sizes.append(max(map(resident, children_of(zygote)), default=0))
    newborn = resident(zygote)
    await pool.close()
    assert max(sizes) < newborn + GROWTH_BYTES + SLACK
    assert sizes[-1] - sizes[1] < GROWTH_BYTES
