"""Killable worker processes: a rollout that hangs, bloats or crashes its worker costs nobody else anything."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from rewardmesh.contract.envelope import Envelope, wire_fields
from rewardmesh.contract.errors import UnavailableError
from rewardmesh.contract.verdict import Failure
from rewardmesh.rewards.base import Traits
from rewardmesh.services.crew import Crew
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.job import Job
from rewardmesh.services.places import TIMED_OUT, Judged


class WorkerPool:
    """Scores an isolated reward in child processes. What is the same to the reward is scored once, for all who ask.

    Args:
        spec: The reward.
        found: Its traits. Where it is not pure, every rollout is scored by itself.

    Raises:
        ValueError: It reads a field that no rollout has.
    """

    slice = sys.maxsize  # shares out batches itself

    def __init__(self, spec: RewardSpec, found: Traits) -> None:
        own = ("source",) if spec.sources else ()  # decides between instances of the reward
        self._reads = wire_fields([*found.reads, "completion", *own])  # without a completion there is no rollout
        self._pure = found.pure
        self._crew = Crew(spec)
        self._jobs: dict[object, Job] = {}

    async def start(self) -> None:
        """Starts the zygote. Raises UnavailableError when it cannot load the reward."""
        await self._crew.start()

    def models(self) -> tuple[str, ...]:
        """See `Place`: isolated rewards are rules."""
        return ()

    def overdue(self) -> float:
        """See `Place`: a worker whose deadline has passed is killed."""
        return 0.0

    async def outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        """One per rollout, in order; see `Place`."""
        new: list[Job] = []
        jobs = [self._join(envelope, new) for envelope in batch]
        try:
            self._crew.add(new)
            if jobs:
                await asyncio.wait({job.done for job in jobs}, timeout=deadline - time.monotonic())
        finally:
            for job in jobs:
                self._leave(job)
        return [job.done.result() if job.done.done() else Judged(TIMED_OUT, 0.0) for job in jobs]

    async def close(self) -> None:
        """Ends every worker and the zygote."""
        await self._crew.close()
        error = UnavailableError("its worker processes are being closed")
        for job in self._jobs.values():
            job.finish(Judged(Failure.from_error(error), 0.0))

    def _join(self, envelope: Envelope, new: list[Job]) -> Job:
        """The job that a rollout comes to: one under way that is the same to the reward, or a new one."""
        if not (self._pure and envelope.id):  # one without an id is wrong, and must not pass for one that is not
            job = Job(envelope, envelope.message.SerializeToString(), key=object())
        else:
            inputs = envelope.inputs(self._reads)
            job = self._jobs.get(inputs) or Job(envelope, inputs, key=inputs)
        if not job.waiting:
            self._jobs[job.key] = job
            new.append(job)
        job.waiting += 1
        return job

    def _leave(self, job: Job) -> None:
        job.waiting -= 1
        if not job.waiting:
            self._jobs.pop(job.key, None)
