"""Killable worker processes: a rollout that hangs, bloats or crashes its worker costs nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from rewardmesh.contract.as_answer import as_answer
from rewardmesh.contract.codec import decode_verdict
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import CrashedError, DeadlineError, LimitError, UnavailableError
from rewardmesh.contract.verdict import Failure, Score
from rewardmesh.services.engine import RewardSpec
from rewardmesh.services.nursery import Nursery, Worker
from rewardmesh.services.places import TIMED_OUT, Judged
from rewardmesh.services.zygote import CPU_SECONDS, HEADER
from rewardmesh.v1 import reward_pb2 as pb

# Rollouts sent to a worker at once: enough to hide the pipe, few enough that workers share a batch evenly.
CHUNK = 8
# The CPU limit ends busy workers; this ends those that sleep. Wide, since a loaded machine slows everybody.
WALL_SECONDS = 20.0


class _EndedError(Exception):
    """A worker ended, or had to be ended, over a rollout; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class WorkerPool:
    """Scores an isolated reward in child processes, one per CPU core."""

    slice = sys.maxsize  # shares out batches itself

    def __init__(self, spec: RewardSpec) -> None:
        self._spec = spec
        self._size = os.cpu_count() or 1
        self._free = asyncio.Semaphore(self._size)
        self._idle: list[Worker] = []
        self._nursery: Nursery | None = None
        self._restart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the zygote. Raises UnavailableError when it cannot load the reward."""
        nursery = Nursery(self._spec)
        await nursery.start()
        self._nursery = nursery

    def overdue(self) -> float:
        """See `Place`: a worker whose deadline has passed is killed."""
        return 0.0

    async def outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        """One per rollout, in order; see `Place`."""
        results = [Judged(TIMED_OUT, 0.0)] * len(batch)
        waiting = deque(range(len(batch)))
        share = min(CHUNK, -(-len(batch) // self._size))

        async def work() -> None:
            while waiting:
                async with self._free:
                    if not waiting:  # others took the rest while this one waited for its turn
                        return
                    chunk = deque(waiting.popleft() for _ in range(min(share, len(waiting))))
                    guilty = await self._score(batch, chunk, results)
                    if guilty is not None:
                        # Those behind it need not wait for its second chance: another worker may take them.
                        waiting.extendleft(reversed(chunk))
                        if chunk:
                            group.create_task(work())
                        results[guilty] = await self._second_chance(batch[guilty])

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline - time.monotonic()), asyncio.TaskGroup() as group:
                for _ in range(min(self._size, len(batch))):
                    group.create_task(work())
        return results

    async def close(self) -> None:
        """Ends every worker and the zygote."""
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait([self._restart])
        for worker in self._idle:
            worker.writer.close()
        if self._nursery is not None:
            await self._nursery.close()

    async def _score(self, batch: Sequence[Envelope], left: deque[int], results: list[Judged]) -> int | None:
        """Scores the rollouts at these indices, up to one that ends its worker; returns that one's index."""
        try:
            async for judged in self._ask([batch[i] for i in left], self._idle):
                results[left.popleft()] = judged
        except _EndedError:
            return left.popleft()
        except UnavailableError as error:
            while left:
                results[left.popleft()] = Judged(Failure.from_error(error), 0.0)
        return None

    async def _second_chance(self, envelope: Envelope) -> Judged:
        """Scores a rollout alone in a fresh worker, because the machine may have been to blame the first time.

        One that ends its worker again is a Failure; but where it was over a limit and its reference alone is not, the
        completion is to blame, and that is the policy's fault: Score 0.
        """
        try:
            return await self._alone(envelope)
        except UnavailableError as error:
            return Judged(Failure.from_error(error), 0.0)
        except _EndedError as ended:
            failure = ended.failure
        if failure.kind == "limit_exceeded" and await self._reference_passes(envelope):
            return Judged(Score(0.0, "limit_exceeded", f"the completion alone {failure.message}"), 0.0)
        return Judged(failure, 0.0)

    async def _reference_passes(self, envelope: Envelope) -> bool:
        answer = as_answer(envelope.open().reference)
        if answer is None:
            return False
        message = pb.Rollout()
        message.CopyFrom(envelope.message)
        message.completion = answer
        try:
            return isinstance((await self._alone(Envelope(message))).outcome, Score)
        except (_EndedError, UnavailableError):
            return False

    async def _alone(self, envelope: Envelope) -> Judged:
        [judged] = [judged async for judged in self._ask([envelope], [])]
        return judged

    async def _ask(self, batch: Sequence[Envelope], workers: list[Worker]) -> AsyncIterator[Judged]:
        """Sends a batch to one of these workers, or to a fresh one, and yields the outcomes in order.

        Raises:
            _EndedError: The worker ended over the rollout whose outcome is due.
            UnavailableError: No worker can be had.
        """
        worker = workers.pop() if workers else await self._fork()
        try:
            await _send(worker, batch)
            for _ in batch:
                yield await _receive(worker)
        except BaseException:  # the deadline, a cancelled call or a bug as much as an ended worker: it is not reusable
            await worker.kill()
            raise
        self._idle.append(worker)

    async def _fork(self) -> Worker:
        if self._nursery is None or not self._nursery.alive:
            # One restart for all who wait, and it goes on when they give up: the next batch will need it too.
            if self._restart is None or self._restart.done():
                self._restart = asyncio.create_task(self._start_again())
            await asyncio.shield(self._restart)
        assert self._nursery is not None
        return await self._nursery.fork()

    async def _start_again(self) -> None:
        if self._nursery is not None:
            await self._nursery.close()
            self._nursery = None
        self._idle.clear()
        await self.start()


async def _send(worker: Worker, envelopes: Sequence[Envelope]) -> None:
    for envelope in envelopes:
        data = envelope.message.SerializeToString()
        worker.writer.write(HEADER.pack(len(data)) + data)
    with contextlib.suppress(ConnectionError):  # a worker that is gone is noticed where its answer is read
        await worker.writer.drain()


async def _receive(worker: Worker) -> Judged:
    try:
        async with asyncio.timeout(WALL_SECONDS):
            header = await worker.reader.readexactly(HEADER.size)
            data = await worker.reader.readexactly(HEADER.unpack(header)[0])
    except TimeoutError:
        error = DeadlineError(f"no answer from its worker process in {WALL_SECONDS:.0f} s")
        raise _EndedError(Failure.from_error(error)) from None
    except (asyncio.IncompleteReadError, ConnectionError):
        raise _EndedError(_cause(await worker.kill())) from None
    verdict = decode_verdict(pb.Verdict.FromString(data))
    if verdict.failure is not None and verdict.failure.kind == "limit_exceeded":
        raise _EndedError(verdict.failure)
    return Judged(verdict.outcome, verdict.seconds)


def _cause(number: int) -> Failure:
    if number == signal.SIGPROF:
        return Failure.from_error(LimitError(f"used more than {CPU_SECONDS:g} s of CPU"))
    how = f"killed by {signal.Signals(number).name}" if number else "it exited"
    return Failure.from_error(CrashedError(f"its worker process died ({how})"))
