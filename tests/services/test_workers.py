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

from rewardmesh.contract import Failure, MathReference, PreferenceReference, Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import UnavailableError
from rewardmesh.services import crew
from rewardmesh.services.workers import WorkerPool

from .hazards import children_of, new_pool, obey, reasons, told, until, zygotes


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = new_pool()
    await pool.start()
    yield pool
    await pool.close()


def alive(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("word", ["spin", "shrug", "grind", "bloat", "recurse"])
async def test_over_the_limit_is_the_policys_fault_when_the_reference_alone_passes(pool: WorkerPool, word: str) -> None:
    [(outcome, _)] = await obey(pool, [word], MathReference(["2"]))
    assert isinstance(outcome, Score)
    assert (outcome.value, outcome.reason) == (0.0, "limit_exceeded")


async def test_over_the_limit_is_a_failure_when_the_reference_is_over_it_too(pool: WorkerPool) -> None:
    judged = await obey(pool, ["bloat"], PreferenceReference(["bloat"]))
    assert reasons(judged) == ["limit_exceeded"]
    assert isinstance(judged[0].outcome, Failure)


async def test_a_bomb_leaves_its_mates_their_verdicts(pool: WorkerPool) -> None:
    bombs = {3: "spin", 4: "grind", 11: "bloat", 12: "die", 20: "exit", 21: "recurse"}
    judged = await obey(pool, [bombs.get(i, "fine") for i in range(60)])
    kinds = {"die": "crashed", "exit": "crashed"}
    expected = {i: kinds.get(word, "limit_exceeded") for i, word in bombs.items()}
    assert reasons(judged) == [expected.get(i, "obeyed") for i in range(60)]


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


async def test_a_worker_that_grows_is_replaced_and_nobody_notices(pool: WorkerPool) -> None:
    judged = await obey(pool, ["hoard"] * 200)  # 1600 MB
    assert reasons(judged) == ["obeyed"] * 200
    pids = [outcome.parsed for outcome, _ in judged if isinstance(outcome, Score)]
    assert max(map(pids.count, pids)) <= 9


async def test_seconds_are_those_of_the_rollout_itself(pool: WorkerPool) -> None:
    slow, fast = await obey(pool, ["sleep 0.3", "fine"])
    assert slow.seconds >= 0.3
    assert fast.seconds < 0.3


async def test_closing_leaves_no_process_behind() -> None:
    before = set(zygotes())
    pool = new_pool()
    await pool.start()
    assert reasons(await obey(pool, ["fine"] * 4)) == ["obeyed"] * 4
    [zygote] = set(zygotes()) - before
    workers = children_of(zygote)
    assert workers
    await pool.close()
    assert not alive([zygote, *workers])


async def test_a_pool_that_closes_says_so_and_starts_nothing_again() -> None:
    before = set(zygotes())
    pool = new_pool()
    await pool.start()
    call = asyncio.create_task(obey(pool, ["sleep 60"] * 4 + ["fine"] * 100))
    await asyncio.sleep(0.2)
    await pool.close()
    assert set(reasons(await call)) <= {"unavailable", "obeyed"}
    assert reasons(await obey(pool, ["fine"])) == ["unavailable"]
    assert set(zygotes()) == before


async def test_a_reward_that_cannot_load_says_why() -> None:
    pool = new_pool(no_such_option=1)
    with pytest.raises(UnavailableError, match="takes no arguments"):
        await pool.start()


async def test_deadlines_and_cancelled_calls_leave_a_sound_pool() -> None:
    """Their workers are killed; those that follow must not be taken for them."""
    pool = new_pool()
    before = set(zygotes())
    await pool.start()
    [zygote] = set(zygotes()) - before
    for _ in range(10):
        await pool.outcomes(told(["fine"] * 8), time.monotonic() + 0.001)
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
    judged = await obey(pool, ["sleep 0.2"] * 4 * (os.cpu_count() or 1))
    pids = {outcome.parsed for outcome, _ in judged if isinstance(outcome, Score)}
    await until(lambda: {str(pid) for pid in children_of(zygote)} == pids)
    await pool.close()


async def test_a_zygote_whose_restart_nobody_waits_for_is_started_all_the_same() -> None:
    pool = new_pool()
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
    pool = new_pool()
    before = set(zygotes())
    await pool.start()
    [first] = set(zygotes()) - before
    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.2)
    await pool.outcomes([Envelope.seal(Rollout(id="fine", completion="fine"))], time.monotonic() + 0.001)
    await pool.close()
    assert not set(zygotes()) - before - {first}


@pytest_asyncio.fixture(loop_scope="session")
async def one_worker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    """A pool that does one thing after the other."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    pool = new_pool()
    await pool.start()
    yield pool
    await pool.close()


async def test_those_behind_a_bomb_do_not_wait_for_its_second_chance(one_worker: WorkerPool, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    judged = await obey(one_worker, [f"note die {notes}", *[f"note live {notes}"] * 3])
    assert reasons(judged) == ["crashed", "obeyed", "obeyed", "obeyed"]
    assert notes.read_text().split() == ["0", "1", "2", "3", "0"]


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is only one worker")
async def test_a_worker_with_nothing_to_do_gives_the_second_chance(pool: WorkerPool, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    await obey(pool, [f"note die {notes}", *[f"note live {notes}"] * 10], MathReference(["one chunk"]))
    order = notes.read_text().split()
    assert order.index("10") > len(order) - 1 - order[::-1].index("0")


async def test_nor_does_a_second_chance_wait_for_ever(
    one_worker: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "PATIENCE", 3)
    notes = tmp_path / "notes"
    judged = await obey(one_worker, [f"note die {notes}", *["fine"] * 100, f"note live {notes}"])
    assert reasons(judged) == ["crashed", *["obeyed"] * 101]
    assert notes.read_text().split() == ["0", "0", "101"]
