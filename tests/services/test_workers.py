"""Worker processes: whose fault it is when one ends, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from rewardmesh.contract import MathReference, Reference, Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import UnavailableError
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.places import Judged
from rewardmesh.services.workers import WorkerPool


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(RewardSpec("isolated_hazard"))
    await pool.start()
    yield pool
    await pool.close()


async def obey(pool: WorkerPool, words: Sequence[str], reference: Reference | None = None) -> list[Judged]:
    batch = [Envelope.seal(Rollout(id=word, completion=word, reference=reference)) for word in words]
    return await pool.outcomes(batch, time.monotonic() + 60)


def reasons(judged: Sequence[Judged]) -> list[str]:
    return [o.reason if isinstance(o, Score) else o.kind for o, _ in judged]


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def zygotes() -> list[int]:
    """Zygotes of this process."""
    found = [pid for pid in children_of(os.getpid()) if "zygote" in Path(f"/proc/{pid}/cmdline").read_text()]
    return found


def alive(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("word", ["spin", "bloat", "recurse"])
async def test_over_the_limit_is_the_policys_fault_when_the_reference_alone_passes(pool: WorkerPool, word: str) -> None:
    [(outcome, _)] = await obey(pool, [word], MathReference(["2"]))
    assert isinstance(outcome, Score)
    assert (outcome.value, outcome.reason) == (0.0, "limit_exceeded")


async def test_a_worker_killed_from_outside_costs_nobody_anything(pool: WorkerPool) -> None:
    call = asyncio.create_task(obey(pool, ["sleep 0.5", "sleep 0.5"]))
    await asyncio.sleep(0.2)
    for zygote in zygotes():
        for worker in children_of(zygote):
            os.kill(worker, signal.SIGKILL)
    assert reasons(await call) == ["obeyed", "obeyed"]


async def test_an_idle_worker_killed_from_outside_is_replaced(pool: WorkerPool) -> None:
    [(outcome, _)] = await obey(pool, ["fine"])
    assert isinstance(outcome, Score)
    os.kill(int(outcome.parsed or 0), signal.SIGKILL)
    assert reasons(await obey(pool, ["fine"] * 4)) == ["obeyed"] * 4


async def test_a_killed_zygote_is_started_again(pool: WorkerPool) -> None:
    for zygote in zygotes():
        os.kill(zygote, signal.SIGKILL)
    await asyncio.sleep(0.3)
    assert reasons(await obey(pool, ["fine"] * 4)) == ["obeyed"] * 4
    assert reasons(await obey(pool, ["die", "fine"])) == ["crashed", "obeyed"]


async def test_seconds_are_those_of_the_rollout_itself(pool: WorkerPool) -> None:
    slow, fast = await obey(pool, ["sleep 0.3", "fine"])
    assert slow.seconds >= 0.3
    assert fast.seconds < 0.3


async def test_closing_leaves_no_process_behind() -> None:
    before = set(zygotes())
    pool = WorkerPool(RewardSpec("isolated_hazard"))
    await pool.start()
    assert reasons(await obey(pool, ["fine"] * 4)) == ["obeyed"] * 4
    [zygote] = set(zygotes()) - before
    workers = children_of(zygote)
    assert workers
    await pool.close()
    assert not alive([zygote, *workers])


async def test_a_reward_that_cannot_load_says_why() -> None:
    pool = WorkerPool(RewardSpec("isolated_hazard", {"no_such_option": 1}))
    with pytest.raises(UnavailableError, match="takes no arguments"):
        await pool.start()


async def test_deadlines_and_cancelled_calls_leave_a_sound_pool() -> None:
    """Their workers are killed; those that follow must not be taken for them."""
    pool = WorkerPool(RewardSpec("isolated_hazard"))
    await pool.start()
    batch = [Envelope.seal(Rollout(id="fine", completion="fine"))] * 8
    for _ in range(10):
        await pool.outcomes(batch, time.monotonic() + 0.001)
    call = asyncio.create_task(obey(pool, ["sleep 20"] * 4))
    await asyncio.sleep(0.2)
    call.cancel()
    await asyncio.wait([call])
    assert reasons(await obey(pool, ["die", "fine", "spin", "fine"])) == [
        "crashed",
        "obeyed",
        "limit_exceeded",
        "obeyed",
    ]
    told = {outcome.parsed for outcome, _ in await obey(pool, ["sleep 0.2"] * 8) if isinstance(outcome, Score)}
    assert {worker.pid for worker in pool._idle} == {int(pid or 0) for pid in told}  # pyright: ignore[reportPrivateUsage]
    await pool.close()


async def test_a_zygote_whose_restart_nobody_waits_for_is_started_all_the_same() -> None:
    pool = WorkerPool(RewardSpec("isolated_hazard"))
    before = set(zygotes())
    await pool.start()
    [first] = set(zygotes()) - before
    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.2)
    judged = await pool.outcomes([Envelope.seal(Rollout(id="fine", completion="fine"))], time.monotonic() + 0.001)
    assert reasons(judged) == ["timeout"]
    assert reasons(await obey(pool, ["fine"] * 4)) == ["obeyed"] * 4
    assert len(set(zygotes()) - before - {first}) == 1
    await pool.close()
    assert not set(zygotes()) - before - {first}


async def test_a_pool_closed_while_its_zygote_restarts_leaves_nothing() -> None:
    pool = WorkerPool(RewardSpec("isolated_hazard"))
    before = set(zygotes())
    await pool.start()
    [first] = set(zygotes()) - before
    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.2)
    await pool.outcomes([Envelope.seal(Rollout(id="fine", completion="fine"))], time.monotonic() + 0.001)
    await pool.close()
    assert not set(zygotes()) - before - {first}


async def test_those_behind_a_bomb_do_not_wait_for_its_second_chance(pool: WorkerPool) -> None:
    await obey(pool, ["fine"] * 4)
    batch = [Envelope.seal(Rollout(id=word, completion=word)) for word in ("spin", "fine", "fine", "fine")]
    judged = await pool.outcomes(batch, time.monotonic() + 5.5)  # the bomb takes 3 s of CPU, twice
    assert reasons(judged) == ["timeout", "obeyed", "obeyed", "obeyed"]
