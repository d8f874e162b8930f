"""A batch full of bombs: the honest get what they deserve, the bombs nothing, and nothing goes on burning."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

from rewardmesh.contract import Failure, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.rewards.base import traits
from rewardmesh.rewards.registry import load
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.limits import MEMORY_BYTES
from rewardmesh.services.workers import WorkerPool

from .bombs import bombs
from .hazards import children_of, until, zygotes
from .honest import honest

HONEST = 1000
# A minute on two cores. A limit on CPU time, so that a busy machine does not fail it.
CPU_SECONDS = 120.0


def spent() -> float:
    """CPU seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("S")


def reserved(pid: int) -> int:
    """Bytes of memory that a process may touch: what the limit is on."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


async def test_a_hundred_bombs_cost_a_thousand_honest_rollouts_nothing() -> None:
    began, before = spent(), set(zygotes())
    pool = WorkerPool(RewardSpec("math"), traits(load("math")))
    await pool.start()
    [zygote] = set(zygotes()) - before
    values = {rollout.id: value for rollout, value in map(honest, range(HONEST))}
    rollouts = [*(rollout for rollout, _ in map(honest, range(HONEST))), *bombs()]
    random.Random(0).shuffle(rollouts)

    judged = await pool.outcomes([Envelope.seal(rollout) for rollout in rollouts], time.monotonic() + 280)

    outcomes = {rollout.id: found.outcome for rollout, found in zip(rollouts, judged, strict=True)}
    paid = {name: outcome.value for name, outcome in outcomes.items() if isinstance(outcome, Score)}
    assert {name: paid.get(name) for name in values} == values
    for name in outcomes.keys() - values.keys():
        match outcomes[name]:
            case Score(value=value, reason=reason):
                assert (name, value) == (name, 0.0)
                assert reason
            case Failure(kind=kind):  # a timeout where the machine is so busy that the wall-clock limit comes first
                assert kind in ("limit_exceeded", "timeout"), name
    await until(lambda: all(map(asleep, children_of(zygote))))
    assert all(reserved(worker) <= MEMORY_BYTES for worker in children_of(zygote))
    await pool.close()
    assert spent() - began < CPU_SECONDS
