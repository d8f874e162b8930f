"""A reward and its limits: loads it, tests it, and scores batches where it belongs. Both engines host rewards in it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterator, Sequence
from functools import partial

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import RewardMeshError
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.rewards.base import Reward, Traits, traits
from rewardmesh.rewards.construct import construct
from rewardmesh.rewards.registry import load
from rewardmesh.services.engine import RewardSpec, RewardStatus
from rewardmesh.services.judge import AUTHORS_ERRORS
from rewardmesh.services.places import TIMED_OUT, InThread, Judged, OnLoop, Place
from rewardmesh.services.workers import WorkerPool

# Inline rewards take 10-40 us a rollout: a slice holds the event loop for about a millisecond.
INLINE_SLICE = 32
# Rewards that wait on a network want many requests under way at once.
ASYNC_SLICE = 256
# A thread that is this long overdue is not coming back: Ray Serve replaces the replica.
STUCK_SECONDS = 60.0
# A first call may compile or fill caches; a machine that is busy starting other rewards may be slow.
SELF_TEST_SECONDS = 60.0


class Runner:
    """Hosts one reward in this process, or in child processes if it asks to be isolated.

    Attributes:
        settled: Whether its status will not change any more.
        inline: Whether it scores on the event loop, in microseconds.
    """

    def __init__(self, spec: RewardSpec) -> None:
        self.spec = spec
        self._traits = Traits(spec.name, "", (spec.name,))
        self._digest = ""
        self._place: Place | None = None
        self._detail = "not started"
        self._status: RewardStatus | None = None
        self.settled = self.inline = False

    async def start(self) -> None:
        """Loads the reward and runs its self-test. Never raises: what went wrong is in `status().detail`."""
        try:
            reward = load(self.spec.name)
            self._traits = traits(reward)
            self._digest = self.spec.digest(self._traits.version)
            self._place = _place(self.spec, reward, self._traits)
            await self._place.start()
            self._detail = await self._self_test(self._place)
            self.settled = isinstance(self._place, OnLoop) and not self._place.has_models
            self.inline = isinstance(self._place, OnLoop) and self._traits.inline
        except RewardMeshError as error:
            self._detail = str(error)
        except AUTHORS_ERRORS as error:  # an author's constructor may raise anything; the other rewards must start
            self._detail = f"its constructor failed: {type(error).__name__}: {error}"
        self._status = None

    def status(self) -> RewardStatus:
        """The reward as clients see it."""
        found, detail, overdue = self._traits, self._detail, self._overdue()
        if not detail and overdue:
            detail = f"busy with rollouts whose deadline passed {overdue:.0f} s ago"
        models = () if self._place is None else self._place.models()
        known = self._status
        if known is None or (known.detail, known.models) != (detail, models):  # asked for each message: made once
            self._status = RewardStatus(
                found.name,
                found.version,
                self._digest,
                found.tasks,
                not detail,
                detail,
                pure=found.pure,
                cacheable=found.cacheable,
                reads=found.reads,
                by_source=bool(self.spec.sources),
                models=models,
            )
            return self._status
        return known

    async def score(self, batch: Sequence[Envelope], timeout: float) -> list[Verdict]:
        """One verdict per rollout, in order; what is not done within `timeout` seconds is a Failure `timeout`."""
        deadline = time.monotonic() + timeout
        size = len(batch) if self._place is None else self._place.slice
        if len(batch) <= size:  # mostly
            return self._verdicts(batch, await self._outcomes(batch, deadline))
        verdicts: list[Verdict] = []
        for part in slices(batch, size):
            verdicts += self._verdicts(part, await self._outcomes(part, deadline))
            if len(verdicts) < len(batch):
                await asyncio.sleep(0)  # others on this event loop get their turn
        return verdicts

    def check(self) -> None:
        """Raises RuntimeError when the reward hangs for good: only a new process helps."""
        if self._overdue() > STUCK_SECONDS:
            raise RuntimeError(f"reward {self.spec.name!r} has not returned for {self._overdue():.0f} s")

    def _overdue(self) -> float:
        return 0.0 if self._place is None else self._place.overdue()

    async def close(self) -> None:
        """Stops the reward's threads and processes."""
        if self._place is not None:
            await self._place.close()

    async def _outcomes(self, batch: Sequence[Envelope], deadline: float) -> list[Judged]:
        if self._place is None or self._detail:
            detail = f"reward {self.spec.name!r} is not ready: {self._detail}"
            return [Judged(Failure("unavailable", detail), 0.0)] * len(batch)
        if time.monotonic() >= deadline:
            return [Judged(TIMED_OUT, 0.0)] * len(batch)
        return await self._place.outcomes(batch, deadline)

    def _verdicts(self, batch: Sequence[Envelope], judged: Sequence[Judged]) -> list[Verdict]:
        name, version, digest = self._traits.name, self._traits.version, self._digest
        return [
            Verdict(envelope.id, outcome, envelope.task, name, version, digest, seconds)
            for envelope, (outcome, seconds) in zip(batch, judged, strict=True)
        ]

    async def _self_test(self, place: Place) -> str:
        """Why the reward is not ready; empty if it is."""
        if self._traits.example is None:
            return ""
        example = Envelope.seal(self._traits.example)
        [(outcome, _)] = await place.outcomes([example], time.monotonic() + SELF_TEST_SECONDS)
        if isinstance(outcome, Failure):
            return f"its self-test failed: {outcome.kind}: {outcome.message}"
        return "" if outcome.value > 0 else f"its self-test scored 0 ({outcome.reason})"


def slices(batch: Sequence[Envelope], size: int) -> Iterator[Sequence[Envelope]]:
    """Cuts a batch into parts of about `size`, and no group in two unless it is longer than that.

    A reward model reads a group's prompt once, and computes what it scores together in one shape.
    """
    start = 0
    while start < len(batch):
        end = min(len(batch), start + size)
        cut = end
        while start < cut < len(batch) and batch[cut].group and batch[cut].group == batch[cut - 1].group:
            cut -= 1
        end = cut if cut > start else end
        yield batch[start:end]
        start = end


def _place(spec: RewardSpec, reward: type[Reward], found: Traits) -> Place:
    if found.isolated:
        return WorkerPool(spec, found)
    make = partial(construct, reward, spec.options, spec.sources, spec.thinking)
    if inspect.iscoroutinefunction(reward.score):
        return OnLoop(make, ASYNC_SLICE)
    if found.inline:
        return OnLoop(make, INLINE_SLICE)
    return InThread(make)
