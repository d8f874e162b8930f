"""The workers of a reward, one per CPU core, and what each of them does next."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from rewardmesh.contract.verdict import Failure
from rewardmesh.services.appeal import appeal
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.errand import Errand
from rewardmesh.services.job import CHUNK, Job, chunks
from rewardmesh.services.nursery import Worker
from rewardmesh.services.places import Judged
from rewardmesh.services.supply import Supply

# Chunks that may pass an appeal over. Fresh work is quick and goes first, but an appeal must be heard at some time.
PATIENCE = 32


@dataclass(slots=True)
class _Slot:
    """A place for one worker at a time, and the chunks it should have."""

    queue: deque[list[Job]] = field(default_factory=deque[list[Job]])
    worker: Worker | None = None
    task: asyncio.Task[None] | None = None


class Crew:
    """Does jobs. Kin go to the same worker, which then knows their reference, unless another has nothing to do."""

    def __init__(self, spec: RewardSpec) -> None:
        self._supply = Supply(spec)
        self._slots = [_Slot() for _ in range(os.cpu_count() or 1)]
        self._appeals: deque[Job] = deque()
        self._appealing = 0
        self._passed_over = 0

    async def start(self) -> None:
        """Raises UnavailableError when the reward cannot be loaded."""
        await self._supply.start()

    def add(self, jobs: Sequence[Job]) -> None:
        """Has these jobs done, those nobody waits for excepted."""
        size = min(CHUNK, -(-len(jobs) // len(self._slots)))
        at_home: list[list[Job]] = [[] for _ in self._slots]
        for job in jobs:
            at_home[job.kin % len(self._slots)].append(job)
        for slot, own in zip(self._slots, at_home, strict=True):
            slot.queue.extend(chunks(own, size))
        self._wake()

    async def close(self) -> None:
        """Ends every worker and the zygote. What is not done by then is a Failure."""
        tasks = [slot.task for slot in self._slots if slot.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for slot in self._slots:
            if slot.worker is not None:
                self._supply.dismiss(slot.worker)
        await self._supply.close()

    def _wake(self) -> None:
        """Sets as many idle slots to work as there is work for, those with some of their own first."""
        due = len(self._appeals) + sum(len(slot.queue) for slot in self._slots)
        idle = [slot for slot in self._slots if slot.task is None or slot.task.done()]
        for slot in sorted(idle, key=lambda slot: not slot.queue)[:due]:
            slot.task = asyncio.create_task(self._work(slot))

    async def _work(self, slot: _Slot) -> None:
        while True:
            overdue = self._appeals and not self._appealing and self._passed_over >= PATIENCE
            if not overdue and (chunk := self._next_chunk(slot)):
                await self._serve(slot, chunk)
            elif self._appeals:
                await self._hear(slot, self._appeals.popleft())
            else:
                return

    def _next_chunk(self, slot: _Slot) -> list[Job]:
        """The slot's own next chunk, or the last of the slot that has most; those that are wanted of it."""
        while True:
            longest = slot if slot.queue else max(self._slots, key=lambda other: len(other.queue))
            if not longest.queue:
                return []
            chunk = longest.queue.popleft() if longest is slot else longest.queue.pop()
            if wanted := [job for job in chunk if job.waiting]:
                return wanted

    async def _serve(self, slot: _Slot, chunk: list[Job]) -> None:
        self._passed_over += 1
        try:
            failure, left = await self._send(slot, chunk)
        except Exception as error:  # noqa: BLE001 - no worker can be had, or a defect: a Failure of these jobs
            for job in chunk:
                job.finish(Judged(Failure.from_error(error), 0.0))
            return
        if failure is not None:
            self._appeals.append(left.popleft())
        if left:
            slot.queue.appendleft(list(left))
        self._wake()  # another may hear the appeal meanwhile, or take the rest

    async def _send(self, slot: _Slot, chunk: list[Job]) -> tuple[Failure | None, deque[Job]]:
        if slot.worker is not None and not slot.worker.home.alive:
            self._dismiss(slot)
        if slot.worker is None:
            slot.worker = await self._supply.fresh()
        errand = Errand(slot.worker, chunk)
        try:
            return await errand.run(), errand.left
        finally:
            if errand.spent:
                self._dismiss(slot)

    def _dismiss(self, slot: _Slot) -> None:
        if slot.worker is not None:
            self._supply.dismiss(slot.worker)
            slot.worker = None

    async def _hear(self, slot: _Slot, job: Job) -> None:
        self._passed_over = 0
        if not job.waiting:
            return
        self._appealing += 1
        try:
            await appeal(job, partial(self._alone, slot))
        except Exception as error:  # noqa: BLE001 - as above
            job.finish(Judged(Failure.from_error(error), 0.0))
        finally:
            self._appealing -= 1

    async def _alone(self, slot: _Slot, job: Job) -> Failure | None:
        worker = await self._supply.fresh()
        errand = Errand(worker, [job])
        try:
            return await errand.run()
        finally:
            if errand.spent or slot.worker is not None:
                self._supply.dismiss(worker)
            else:
                slot.worker = worker
