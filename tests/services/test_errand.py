"""What a worker may use, and how it ends when it uses more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from rewardmesh.contract import Failure
from rewardmesh.services import errand as errands
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.errand import Errand
from rewardmesh.services.job import Job
from rewardmesh.services.supply import Supply

from .hazards import told


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def supply() -> AsyncIterator[Supply]:
    supply = Supply(RewardSpec("isolated_hazard"))
    await supply.start()
    yield supply
    await supply.close()


def jobs(words: Sequence[str]) -> list[Job]:
    made = [Job(envelope, envelope.message.SerializeToString(), key=envelope.id) for envelope in told(words)]
    for job in made:
        job.waiting = 1
    return made


async def end_over(supply: Supply, words: Sequence[str]) -> tuple[Failure | None, Errand, int]:
    """What befell a worker that did this, and the signal that ended it; 0 for none."""
    worker = await supply.fresh()
    errand = Errand(worker, jobs(words))
    failure = await errand.run()
    async with asyncio.timeout(30):
        return failure, errand, await worker.ended()


@pytest.mark.parametrize(
    ("word", "message", "number"),
    [
        ("spin", "used more than 2 s of CPU", 0),
        ("shrug", "used more than 2 s of CPU", 0),
        ("grind", "used more than 3 s of CPU", signal.SIGPROF),
        ("bloat", "needs more memory than it may have", 0),
        ("recurse", "nests deeper than the interpreter's stack", 0),
    ],
)
async def test_one_over_a_limit_is_told_from_its_mates(supply: Supply, word: str, message: str, number: int) -> None:
    """Where Python gets its turn no signal ends the process, but it ends all the same."""
    failure, errand, ended = await end_over(supply, ["fine", "fine", word, "fine"])
    assert failure == Failure("limit_exceeded", message)
    assert [job.envelope.id for job in errand.left] == ["2", "3"]
    assert errand.spent
    assert ended == number


async def test_one_that_was_over_a_limit_does_nothing_more(supply: Supply, tmp_path: Path) -> None:
    """What was interrupted may have left anything half done."""
    notes = tmp_path / "notes"
    _, errand, _ = await end_over(supply, ["recurse", f"note live {notes}"])
    assert len(errand.left) == 2
    assert not notes.exists()


@pytest.mark.parametrize(("word", "how"), [("die", "killed by SIGKILL"), ("exit", "it exited")])
async def test_one_that_ends_its_worker_is_told_from_its_mates(supply: Supply, word: str, how: str) -> None:
    failure, errand, _ = await end_over(supply, ["fine", word, "fine"])
    assert failure == Failure("crashed", f"its worker process died ({how})")
    assert [job.envelope.id for job in errand.left] == ["1", "2"]


async def test_the_cpu_limit_is_for_each_job_anew(supply: Supply) -> None:
    worker = await supply.fresh()
    errand = Errand(worker, jobs(["work 0.8"] * 5))
    assert await errand.run() is None
    assert not errand.spent
    supply.dismiss(worker)


async def test_one_that_sleeps_for_too_long_is_a_timeout(supply: Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "WALL_SECONDS", 0.5)
    failure, errand, ended = await end_over(supply, ["fine", "sleep 60", "fine"])
    assert failure is not None
    assert failure.kind == "timeout"
    assert [job.envelope.id for job in errand.left] == ["1", "2"]
    assert ended == signal.SIGKILL


async def test_one_that_nobody_waits_for_is_nobodys_fault(supply: Supply) -> None:
    worker = await supply.fresh()
    errand = Errand(worker, jobs(["fine", "sleep 60", "fine"]))
    running = asyncio.create_task(errand.run())
    await asyncio.wait([errand.left[0].done])
    errand.left[0].waiting = 0
    assert await running is None
    assert [job.envelope.id for job in errand.left] == ["1", "2"]
    assert errand.spent
    assert await worker.ended() == signal.SIGKILL


async def test_what_is_too_large_for_the_pipe_arrives(supply: Supply) -> None:
    worker = await supply.fresh()
    errand = Errand(worker, jobs([f"fine #{'x' * (1 << 20)}"] * 16))
    assert await errand.run() is None
    assert not errand.left
    supply.dismiss(worker)
