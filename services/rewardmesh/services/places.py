"""Where in a process a reward runs: on the event loop or in a thread of its own. (Child processes: `workers`.)"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from rewardmesh.contract.envelope import Envelope, open_all
from rewardmesh.contract.errors import DeadlineError
from rewardmesh.contract.rollout import Rollout
from rewardmesh.contract.verdict import Failure, Outcome
from rewardmesh.rewards.base import Reward
from rewardmesh.rewards.by_source import BySource
from rewardmesh.services.judge import judge, judge_blocking
from rewardmesh.services.thread import Thread

TIMED_OUT = Failure.from_error(DeadlineError("not scored before the message's deadline"))


class Judged(NamedTuple):
    """An outcome and the seconds it took."""

    outcome: Outcome
    seconds: float


class Place(Protocol):
    """Where a reward runs.

    Attributes:
        slice: Rollouts to hand over at once; between slices the deadline is looked at and others get their turn.
    """

    slice: int

    async def start(self) -> None:
        """Constructs the reward there; raises what its constructor raises, or UnavailableError."""
        ...

    async def outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        """One per rollout, in order; what is not done by `deadline` (on `time.monotonic`) is `TIMED_OUT`."""
        ...

    def models(self) -> tuple[str, ...]:
        """Digests of the models it scores with, now; none for rules."""
        ...

    def overdue(self) -> float:
        """For how many seconds it has been busy with rollouts whose deadline has passed; 0 when it is not."""
        ...

    async def close(self) -> None:
        """Stops threads and processes."""
        ...


def models_of(reward: Reward | None) -> tuple[str, ...]:
    """What a reward says of its models; see `Reward`."""
    models = getattr(reward, "models", ())
    return tuple(sorted(models)) if models else ()


class OnLoop:
    """For rewards that take microseconds, and for those that are `async def`.

    Args:
        make: Constructs the reward.
        slice: A few for those that compute, so that nobody waits long; many for those that wait on a network.
    """

    def __init__(self, make: Callable[[], Reward], slice: int) -> None:
        self._make = make
        self.slice = slice

    async def start(self) -> None:
        self._reward = self._make()
        self._waits = inspect.iscoroutinefunction(self._reward.score) or isinstance(self._reward, BySource)

    async def outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        if not self._waits:
            return _open_and_judge(self._reward, batch)

        async def ask(rollouts: Sequence[Rollout]) -> Sequence[Outcome]:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await judge(self._reward, rollouts)

        return await _open_and_ask(batch, ask)

    @property
    def has_models(self) -> bool:
        """Whether the reward, once started, scores with models, which may change."""
        return hasattr(self._reward, "models")

    def models(self) -> tuple[str, ...]:
        return models_of(getattr(self, "_reward", None))

    def overdue(self) -> float:
        return 0.0  # what does not give way to the loop stops the whole process, and needs no telling

    async def close(self) -> None:
        pass


class InThread:
    """For rewards that compute for milliseconds: one thread, so that a model is never entered twice at once."""

    slice = 32  # a GRPO group or two in one forward pass

    def __init__(self, make: Callable[[], Reward]) -> None:
        self._make = make
        self._thread = Thread()

    async def start(self) -> None:
        self._reward = await self._thread.call(self._make)

    async def outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        async def ask(rollouts: Sequence[Rollout]) -> Sequence[Outcome]:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self._thread.call(lambda: judge_blocking(self._reward, rollouts))

        return await _open_and_ask(batch, ask)

    def models(self) -> tuple[str, ...]:
        return models_of(getattr(self, "_reward", None))

    def overdue(self) -> float:
        return self._thread.abandoned_seconds()

    async def close(self) -> None:
        self._thread.stop()


def _open_and_judge(reward: Reward, batch: Sequence[Envelope]) -> list[Judged]:
    """As `_open_and_ask`, for a reward that never gives way to the loop, so that no time limit could help."""
    began = time.perf_counter()
    opened = open_all(batch)
    rollouts = [each for each in opened if isinstance(each, Rollout)]
    outcomes = judge_blocking(reward, rollouts) if rollouts else []
    if len(rollouts) < len(opened):
        left = iter(outcomes)
        outcomes = [each if isinstance(each, Failure) else next(left) for each in opened]
    seconds = (time.perf_counter() - began) / len(batch)
    return [Judged(outcome, seconds) for outcome in outcomes]


async def _open_and_ask(
    batch: Sequence[Envelope], ask: Callable[[Sequence[Rollout]], Awaitable[Sequence[Outcome]]]
) -> list[Judged]:
    """Opens the batch, asks for the outcomes of what could be opened, and puts both in order."""
    began = time.perf_counter()
    opened = open_all(batch)
    rollouts = [each for each in opened if isinstance(each, Rollout)]
    try:
        outcomes = iter(await ask(rollouts) if rollouts else ())
    except TimeoutError:
        outcomes = iter([TIMED_OUT] * len(rollouts))
    merged = [each if isinstance(each, Failure) else next(outcomes) for each in opened]
    seconds = (time.perf_counter() - began) / len(batch)
    return [Judged(outcome, seconds) for outcome in merged]
