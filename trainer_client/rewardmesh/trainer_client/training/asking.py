"""Asks for rewards as completions end, and asks again for those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import NamedTuple

from rewardmesh.contract import Rollout, Verdict
from rewardmesh.trainer_client.rollout import checked
from rewardmesh.trainer_client.training.failures import worth_retrying
from rewardmesh.trainer_client.training.group import Group
from rewardmesh.trainer_client.training.submitting import Submitting


class _Asked(NamedTuple):
    groups: Sequence[Group]
    numbers: Sequence[int]
    rollouts: Sequence[Rollout]
    attempt: int


class Asking:
    """The questions of one step. All its methods belong to one thread; verdicts may arrive on any.

    Verdicts are put into their groups only by `take` and `wait`: when they arrive changes nothing else.

    Args:
        scorer: Who is asked.
        retries: How often a failure is asked about again, at most.
    """

    def __init__(self, scorer: Submitting, retries: int) -> None:
        self._scorer = scorer
        self._retries = retries
        self._arrived: SimpleQueue[Future[list[Verdict]]] = SimpleQueue()
        self._open: dict[Future[list[Verdict]], _Asked] = {}

    def ask(self, groups: Sequence[Group], numbers: Sequence[int]) -> None:
        """Asks about completion `numbers[i]` of `groups[i]`, whose rollouts are there."""
        rollouts = [group.rollouts[number] for group, number in zip(groups, numbers, strict=True)]
        self._submit(_Asked(groups, numbers, rollouts, 0))

    def take(self) -> None:
        """Takes in what has arrived by now.

        Raises:
            RuntimeError: Verdicts are missing or not those of what was asked.
            Exception: Whatever the scorer raised.
        """
        while True:
            try:
                future = self._arrived.get_nowait()
            except Empty:
                return
            self._settle(future)

    def wait(self) -> None:
        """Waits until something arrives, and takes in what has; raises as `take` does."""
        self._settle(self._arrived.get())
        self.take()

    def cancel(self) -> None:
        """Gives up what is still open."""
        for future in self._open:
            future.cancel()
        self._open.clear()

    def _submit(self, asked: _Asked) -> None:
        future = self._scorer.submit(asked.rollouts)
        self._open[future] = asked
        future.add_done_callback(self._arrived.put)

    def _settle(self, future: Future[list[Verdict]]) -> None:
        asked = self._open.pop(future)
        again: list[int] = []
        for place, verdict in enumerate(checked(asked.rollouts, future.result())):
            failure = verdict.failure
            if failure is not None and asked.attempt < self._retries and worth_retrying(failure.kind):
                again.append(place)
            else:
                asked.groups[place].verdicts[asked.numbers[place]] = verdict
        if again:
            self._submit(
                _Asked(
                    [asked.groups[place] for place in again],
                    [asked.numbers[place] for place in again],
                    [asked.rollouts[place] for place in again],
                    asked.attempt + 1,
                )
            )
