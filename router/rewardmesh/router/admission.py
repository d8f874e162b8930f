"""How much may wait for a reward: bounded in rollouts, in bytes and in time, and refused at once beyond that."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rewardmesh.contract.errors import OverloadedError

# Of a new measurement in the mean: some ten batches are remembered.
_WEIGHT = 0.2
# Of the time that is left, what the wait may take: a mean is exceeded half of the time, and what is scored too late
# took the place of what was not.
_SAFE = 0.75
# Hints for when to try again, in seconds: not so soon that it is the same load again, not so late that it is forgotten.
_SOONEST, _LATEST = 0.05, 10.0


@dataclass(slots=True)
class _Queue:
    rollouts: int = 0
    bytes: int = 0
    seconds: float = 0.0  # per rollout that leaves, measured while some wait; 0: not known yet
    since: float = 0.0  # when the last batch left, or the first came


class Admission:
    """What is waiting or being scored, per reward.

    Args:
        rollouts: How many at most.
        bytes: Of how many bytes at most.
    """

    def __init__(self, rollouts: int, bytes: int) -> None:
        self._rollouts = rollouts
        self._bytes = bytes
        self._queues: dict[str, _Queue] = {}

    def enter(self, reward: str, rollouts: int, bytes: int, left: float) -> None:
        """Counts rollouts as waiting, all or none of them; `leave` must follow.

        Args:
            reward: Whose they are.
            rollouts: How many, at least one.
            bytes: Their sizes added up.
            left: Seconds until nobody wants their verdicts.

        Raises:
            OverloadedError: There is no room, or the last one's turn would come too late. Says when to try again.
        """
        queue = self._queues.get(reward)
        if queue is None:
            queue = self._queues[reward] = _Queue()
        wait = (queue.rollouts + rollouts - 1) * queue.seconds
        if queue.rollouts + rollouts > self._rollouts or queue.bytes + bytes > self._bytes:
            raise _overloaded(f"reward {reward!r}: {queue.rollouts} rollouts wait, {queue.bytes} bytes", wait / 2)
        if wait > _SAFE * left:
            text = f"reward {reward!r}: {queue.rollouts} rollouts wait, about {wait:.1f} s; {left:.1f} s are left"
            raise _overloaded(text, wait - _SAFE * left)
        if not queue.rollouts:
            queue.since = time.perf_counter()
        queue.rollouts += rollouts
        queue.bytes += bytes

    def leave(self, reward: str, rollouts: int, bytes: int, scored: int) -> None:
        """So many of a reward's are done with; how long it takes is learned from those that were scored alone."""
        queue = self._queues[reward]
        queue.rollouts -= rollouts
        queue.bytes -= bytes
        if not scored:
            return
        now = time.perf_counter()
        measured = (now - queue.since) / scored
        queue.seconds += (measured - queue.seconds) * (_WEIGHT if queue.seconds else 1.0)
        queue.since = now

    def pace(self, reward: str) -> float:
        """Seconds a rollout of this reward takes, where it has been busy; 0 where that is not known."""
        queue = self._queues.get(reward)
        return queue.seconds if queue else 0.0

    def waiting(self, reward: str) -> int:
        """Rollouts of a reward that wait or are being scored."""
        queue = self._queues.get(reward)
        return queue.rollouts if queue else 0


def _overloaded(text: str, wait: float) -> OverloadedError:
    error = OverloadedError(f"{text}; try again later")
    error.retry_after_seconds = min(_LATEST, max(_SOONEST, wait))
    return error
