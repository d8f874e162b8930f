"""Times the rewards as they are asked for: the reward's own seconds, and the caller's wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.rollout import Scorer
from rewardmesh.trainer_client.training.submitting import submitting


class Latency(NamedTuple):
    """Median and 99th percentile, in seconds, of so many `samples`."""

    samples: int
    p50: float
    p99: float


class TimedScorer:
    """A scorer that remembers how long the one inside takes."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._submitting = submitting(scorer)
        self._scoring: dict[str, list[float]] = {}
        self._trips: list[float] = []
        self._lock = threading.Lock()  # verdicts may arrive on any thread

    def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """Scores, and notes the times."""
        started = time.perf_counter()
        verdicts = self._scorer.score(rollouts)
        self._note(started, verdicts)
        return verdicts

    def submit(self, rollouts: Sequence[Rollout]) -> Future[list[Verdict]]:
        """Starts scoring, and notes the times when it is done."""
        started = time.perf_counter()
        future = self._submitting.submit(rollouts)
        future.add_done_callback(lambda done: self._done(started, done))
        return future

    def scoring(self) -> dict[str, Latency]:
        """Seconds a reward spent on one rollout, as its verdicts say; by reward."""
        return {name: _latency(seconds) for name, seconds in self._scoring.items()}

    def round_trip(self) -> Latency:
        """Seconds from sending a batch of rollouts to holding all its verdicts."""
        return _latency(self._trips)

    def _done(self, started: float, future: Future[list[Verdict]]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._note(started, future.result())

    def _note(self, started: float, verdicts: Sequence[Verdict]) -> None:
        with self._lock:
            self._trips.append(time.perf_counter() - started)
            for verdict in verdicts:
                if verdict.score is not None and not verdict.cached:  # what is remembered took the reward no time
                    self._scoring.setdefault(verdict.reward or verdict.task, []).append(verdict.seconds)


def _latency(seconds: Sequence[float]) -> Latency:
    ordered = sorted(seconds)
    if not ordered:
        return Latency(0, 0.0, 0.0)
    return Latency(len(ordered), ordered[(len(ordered) - 1) // 2], ordered[(len(ordered) - 1) * 99 // 100])
