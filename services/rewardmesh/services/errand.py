"""Jobs in the hands of one worker: hands them over, takes the answers, finds out which one it died of, and how."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence

from rewardmesh.contract.codec import decode_verdict
from rewardmesh.contract.errors import CrashedError, DeadlineError, LimitError
from rewardmesh.contract.verdict import Failure
from rewardmesh.services.job import Job
from rewardmesh.services.limits import HARD_CPU_SECONDS
from rewardmesh.services.nursery import Worker
from rewardmesh.services.places import Judged
from rewardmesh.services.worker import ROLLOUT_HEADER, VERDICT_HEADER
from rewardmesh.v1 import reward_pb2 as pb

# The CPU limits end busy workers; this ends those that sleep. Wide, since a loaded machine slows everybody.
WALL_SECONDS = 20.0
# How often a worker is looked at. One that is at a job nobody waits for any more may go on until it is seen at it
# twice: most jobs take a millisecond, and what the worker remembers is worth more than that.
LOOK_SECONDS = 0.1
_READ_BYTES = 1 << 16


class Errand:
    """Some jobs, and the worker that does them in order.

    Attributes:
        left: The jobs without an answer. The worker is at the first of them.
        spent: Whether the worker is of no more use.
    """

    def __init__(self, worker: Worker, jobs: Sequence[Job]) -> None:
        self.left = deque(jobs)
        self.spent = True  # until it has done all it was asked
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._seen: Job | None = None
        self._seen_at = 0.0
        self._overdue: Failure | None = None

    async def run(self) -> Failure | None:
        """Finishes the jobs, as far as the worker gets.

        Returns:
            What befell the first of those left, where the worker ended over it.
        """
        self._worker.writer.write(b"".join(part for job in self.left for part in _framed(job.payload())))
        self._look()
        try:
            return await self._finish_jobs()
        finally:
            self._timer.cancel()

    async def _finish_jobs(self) -> Failure | None:
        received = b""
        while self.left:
            data = await self._read()
            if not data:
                return await self._cause_of_death()
            received += data
            begin = 0
            while len(received) - begin >= VERDICT_HEADER.size:
                length, leaves = VERDICT_HEADER.unpack_from(received, begin)
                end = begin + VERDICT_HEADER.size + length
                if len(received) < end:
                    break
                verdict = decode_verdict(pb.Verdict.FromString(received[begin + VERDICT_HEADER.size : end]))
                if verdict.failure is not None and verdict.failure.kind == "limit_exceeded":
                    return verdict.failure
                self.left.popleft().finish(Judged(verdict.outcome, verdict.seconds))
                if leaves:
                    return None
                begin = end
            received = received[begin:]
        self.spent = False
        return None

    async def _read(self) -> bytes:
        with contextlib.suppress(ConnectionError):  # it died with some of what it was sent unread
            return await self._worker.reader.read(_READ_BYTES)
        return b""

    async def _cause_of_death(self) -> Failure | None:
        self._timer.cancel()
        number = await self._worker.kill()
        if self._overdue is not None or not self.left[0].waiting:
            return self._overdue
        if number == signal.SIGPROF:
            return Failure.from_error(LimitError(f"used more than {HARD_CPU_SECONDS:g} s of CPU"))
        how = f"killed by {signal.Signals(number).name}" if number else "it exited"
        return Failure.from_error(CrashedError(f"its worker process died ({how})"))

    def _look(self) -> None:
        """Kills a worker that has been at one job for too long, or for a while at one that nobody waits for."""
        job, now = self.left[0], self._loop.time()
        if job is not self._seen:
            self._seen, self._seen_at = job, now
        elif not job.waiting:
            self._kill()
        elif now - self._seen_at > WALL_SECONDS:
            self._overdue = Failure.from_error(
                DeadlineError(f"no answer from its worker process in {WALL_SECONDS:.0f} s")
            )
            self._kill()
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._worker.pid, signal.SIGKILL)


def _framed(payload: bytes) -> tuple[bytes, bytes]:
    return ROLLOUT_HEADER.pack(len(payload)), payload
