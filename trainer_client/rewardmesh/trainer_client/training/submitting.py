"""Scorers that do not make the caller wait."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.rollout import Scorer


@runtime_checkable
class Submitting(Protocol):
    """Whatever scores rollouts in the background: `SyncRewardClient`, say."""

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """Starts scoring; the future has one verdict per rollout, in order."""
        ...


class Threads:
    """Makes a scorer that only has `score` one that has `submit`, too, by calling it on threads.

    Args:
        scorer: Called from several threads at once, unless `threads` is 1.
        threads: How many calls may be under way.
    """

    def __init__(self, scorer: Scorer, threads: int = 8) -> None:
        self._scorer = scorer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rewards")

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """Starts scoring on a thread, or queues for one."""
        return self._pool.submit(self._scorer.score, rollouts)


def submitting(scorer: Scorer | Submitting) -> Submitting:
    """The scorer itself if it can submit, else threads that call it."""
    return scorer if isinstance(scorer, Submitting) else Threads(scorer)
