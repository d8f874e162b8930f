"""What is the same to a reward is scored once, for all who ask, and nobody pays for another's haste."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from rewardmesh.contract import Image, MathReference, Rollout, Score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.places import Judged
from rewardmesh.services.workers import WorkerPool

from .hazards import TRAITS, new_pool, obey, reasons


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool() -> AsyncIterator[WorkerPool]:
    pool = new_pool()
    await pool.start()
    yield pool
    await pool.close()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where the hazard notes what it scores."""
    file = tmp_path / "notes"
    file.touch()
    return file


def twins(notes: Path, count: int, first: int = 0, **fields: object) -> list[Envelope]:
    """Rollouts that differ in their ids alone."""
    rollout = Rollout("", f"note live {notes}", **fields)  # pyright: ignore[reportArgumentType] - by name
    return [Envelope.seal(replace(rollout, id=str(first + i))) for i in range(count)]


def scored(notes: Path) -> int:
    """How often it did."""
    return len(notes.read_text().split())


async def outcomes(pool: WorkerPool, batch: list[Envelope], seconds: float = 60.0) -> list[Judged]:
    return await pool.outcomes(batch, time.monotonic() + seconds)


async def test_twins_in_a_batch_are_scored_once(pool: WorkerPool, notes: Path) -> None:
    judged = await outcomes(pool, twins(notes, 40))
    assert reasons(judged) == ["obeyed"] * 40
    assert scored(notes) == 1


async def test_what_the_reward_does_not_read_makes_no_difference(pool: WorkerPool, notes: Path) -> None:
    batch = [
        *twins(notes, 1),
        *twins(notes, 1, 1, prompt="What?", group="g", source="s", step=3, truncated=True),
        *twins(notes, 1, 2, images=(Image(data=b"x" * 1000),), metadata={"a": 1}),
    ]
    assert reasons(await outcomes(pool, batch)) == ["obeyed"] * 3
    assert scored(notes) == 1


async def test_what_it_reads_does(pool: WorkerPool, notes: Path) -> None:
    batch = [*twins(notes, 2), *twins(notes, 2, 2, reference=MathReference(["1"]))]
    assert reasons(await outcomes(pool, batch)) == ["obeyed"] * 4
    assert scored(notes) == 2


async def test_one_after_the_other_are_scored_twice(pool: WorkerPool, notes: Path) -> None:
    """The pool remembers nothing: that is the caches' business."""
    await outcomes(pool, twins(notes, 1))
    await outcomes(pool, twins(notes, 1))
    assert scored(notes) == 2


async def test_concurrent_batches_share_what_is_the_same(pool: WorkerPool, notes: Path) -> None:
    calls = [outcomes(pool, [*twins(notes, 3, 10 * i), Envelope.seal(Rollout("own", f"fine #{i}"))]) for i in range(4)]
    for judged in await asyncio.gather(*calls):
        assert reasons(judged) == ["obeyed"] * 4
    assert scored(notes) == 1


async def test_a_leader_that_is_cancelled_does_not_take_its_followers_along(pool: WorkerPool, notes: Path) -> None:
    leader = asyncio.create_task(outcomes(pool, twins(notes, 2)))
    await asyncio.sleep(0)
    follower = asyncio.create_task(outcomes(pool, twins(notes, 2, 2)))
    await asyncio.sleep(0.1)
    leader.cancel()
    assert reasons(await follower) == ["obeyed"] * 2
    assert leader.cancelled()
    assert scored(notes) == 1


async def test_a_leader_whose_deadline_passes_does_not_either(pool: WorkerPool, notes: Path) -> None:
    leader, follower = await asyncio.gather(
        outcomes(pool, twins(notes, 2), seconds=0.01), outcomes(pool, twins(notes, 2, 2))
    )
    assert reasons(leader) == ["timeout"] * 2
    assert reasons(follower) == ["obeyed"] * 2
    assert scored(notes) == 1


async def test_a_follower_whose_own_deadline_passes_is_a_timeout(pool: WorkerPool, notes: Path) -> None:
    leader, follower = await asyncio.gather(
        outcomes(pool, twins(notes, 2)), outcomes(pool, twins(notes, 2, 2), seconds=0.01)
    )
    assert reasons(leader) == ["obeyed"] * 2
    assert reasons(follower) == ["timeout"] * 2


async def test_one_who_comes_after_all_have_given_up_is_scored_anew(pool: WorkerPool, notes: Path) -> None:
    assert reasons(await outcomes(pool, twins(notes, 2), seconds=0.01)) == ["timeout"] * 2
    assert reasons(await outcomes(pool, twins(notes, 2))) == ["obeyed"] * 2


async def test_twins_that_end_their_worker_share_the_blame(pool: WorkerPool, notes: Path) -> None:
    word = f"note die {notes}"
    batch = [Envelope.seal(Rollout(str(i), word)) for i in range(20)]
    assert reasons(await outcomes(pool, batch)) == ["crashed"] * 20
    assert scored(notes) == 2


async def test_a_rollout_without_an_id_is_nobodys_twin(pool: WorkerPool, notes: Path) -> None:
    batch = twins(notes, 3)
    batch[0].message.ClearField("id")
    batch[0] = Envelope(batch[0].message)
    assert reasons(await outcomes(pool, batch)) == ["invalid_rollout", "obeyed", "obeyed"]


async def test_a_reward_that_is_not_pure_scores_everyone(notes: Path) -> None:
    pool = WorkerPool(RewardSpec("isolated_hazard"), replace(TRAITS, pure=False))
    await pool.start()
    assert reasons(await outcomes(pool, twins(notes, 3))) == ["obeyed"] * 3
    await pool.close()
    assert scored(notes) == 3


async def test_sources_with_options_of_their_own_are_told_apart(notes: Path) -> None:
    pool = WorkerPool(RewardSpec("isolated_hazard", sources={"odd": {}}), TRAITS)
    await pool.start()
    batch = [*twins(notes, 2, source="odd"), *twins(notes, 2, 2, source="even")]
    assert reasons(await outcomes(pool, batch)) == ["obeyed"] * 4
    await pool.close()
    assert scored(notes) == 2


def test_a_reward_that_reads_what_no_rollout_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no such field of a rollout: 'answers'"):
        WorkerPool(RewardSpec("isolated_hazard"), replace(TRAITS, reads=("completion", "answers")))


async def test_a_group_goes_to_one_worker(pool: WorkerPool) -> None:
    """Which then compares its answers with a reference that it has read already."""
    await obey(pool, ["sleep 0.1"] * 8)  # every worker is there
    rollouts = [Rollout(f"{i}", f"fine #{i}", reference=MathReference([str(i % 8)])) for i in range(64)]
    judged = await outcomes(pool, [Envelope.seal(rollout) for rollout in rollouts])
    workers = [outcome.parsed for outcome, _ in judged if isinstance(outcome, Score)]
    for group in range(8):
        assert len(set(workers[group::8])) == 1


async def test_a_group_that_comes_again_goes_to_the_same_worker(pool: WorkerPool) -> None:
    await obey(pool, ["sleep 0.1"] * 8)
    workers: dict[int, set[str | None]] = {group: set() for group in range(32)}
    for turn in range(4):
        for group, known in workers.items():
            judged = await obey(pool, [f"fine #{turn}"] * 4, MathReference([str(group)]))
            known |= {outcome.parsed for outcome, _ in judged if isinstance(outcome, Score)}
    assert all(len(known) == 1 for known in workers.values())
    assert len(set.union(*workers.values())) > 1 or os.cpu_count() == 1


async def test_a_group_that_is_large_is_shared_by_workers_with_nothing_else_to_do(pool: WorkerPool) -> None:
    judged = await obey(pool, ["sleep 0.05"] * 64, MathReference(["1"]))
    assert len({outcome.parsed for outcome, _ in judged if isinstance(outcome, Score)}) > 1 or os.cpu_count() == 1
