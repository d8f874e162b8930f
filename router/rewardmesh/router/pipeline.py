"""The way of a rollout: limits, classification, the engine, the deadline, and one verdict back, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Hashable, Mapping, Sequence

from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import (
    InvalidRolloutError,
    RewardMeshError,
    TooLargeError,
    UnavailableError,
)
from rewardmesh.contract.verdict import Failure, Verdict
from rewardmesh.router.admission import Admission
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.classify import Classification, Classifier, served_tasks
from rewardmesh.router.dispatch import Asked, Dispatch, failed
from rewardmesh.router.metrics import Metrics
from rewardmesh.router.settings import Limits, Settings
from rewardmesh.services.engine import Engine, RewardStatus

CANCELLED = Failure("cancelled", "the client cancelled the message")

log = logging.getLogger(__name__)


class Pipeline:
    """Scores messages. One for the life of a router; calls may overlap.

    Args:
        engine: Started, and closed by whoever started it.
        settings: Limits, the default timeout, and the tables of the classification.
        metrics: Told of every verdict.
        cache: Scores of before; None for none.
    """

    def __init__(self, engine: Engine, settings: Settings, metrics: Metrics, cache: ScoreCache | None = None) -> None:
        self._engine = engine
        queue = settings.queue
        self._dispatch = Dispatch(engine, Admission(queue.rollouts, queue.bytes), cache)
        self._limits = limits = settings.limits
        # No part can be larger than the whole: what is no larger than this need not be looked into.
        self._small = min(limits.completion_bytes, limits.reference_bytes, limits.image_bytes)
        self._timeout = settings.timeout_seconds
        self._classifier = Classifier(settings.sources, settings.rules)
        self._metrics = metrics
        self._rewards: Mapping[str, RewardStatus] = {}
        self._served: Mapping[str, Sequence[str]] = {}

    def rewards(self) -> Mapping[str, RewardStatus]:
        """The hosted rewards by name."""
        return self._engine.status()

    def classify(self, envelope: Envelope) -> Classification:
        """Raises UnclassifiedError, UnknownRewardError."""
        return self._classifier.classify(envelope, self._now_served(self._engine.status()))

    async def score(
        self,
        envelopes: Sequence[Envelope],
        timeout: float = 0.0,
        pins: Mapping[str, str] | None = None,
        client: Hashable = None,
    ) -> list[Verdict]:
        """One verdict per rollout, in order. Raises nothing but CancelledError, which also stops the engine's work.

        Args:
            envelopes: One message's rollouts. The task found is written into them.
            timeout: Seconds until what is not done is answered `timeout`; 0 for the router's default.
            pins: Reward name -> config digest that its scores must come from.
            client: Who asks: clients take turns where many wait.
        """
        self._metrics.in_flight += len(envelopes)
        try:
            verdicts = await self._score(envelopes, timeout, pins or {}, client)
        except asyncio.CancelledError:
            cancelled = [Verdict(e.id, CANCELLED, e.task) for e in envelopes]
            self._metrics.record(cancelled, [e.source for e in envelopes])
            raise
        except Exception as error:  # a defect of ours costs this message its scores, never the stream its life
            log.exception("scoring a message failed")
            verdicts = [failed(envelope, error) for envelope in envelopes]
        finally:
            self._metrics.in_flight -= len(envelopes)
        sources = [envelope.message.source for envelope in envelopes]
        # In the loop's next turn, when the answer is on its way: who waits for it need not wait for this.
        asyncio.get_running_loop().call_soon(self._metrics.record, verdicts, sources)
        return verdicts

    async def _score(
        self, envelopes: Sequence[Envelope], timeout: float, pins: Mapping[str, str], client: Hashable
    ) -> list[Verdict]:
        arrived = time.perf_counter()
        if not 0 <= timeout < math.inf:
            error = InvalidRolloutError(f"timeout_seconds must be 0 or a positive number, got {timeout}")
            return [failed(envelope, error) for envelope in envelopes]
        asked = Asked(arrived, arrived + (timeout or self._timeout), client)
        rewards = self._engine.status()
        verdicts: dict[int, Verdict] = {}
        batches = self._batches(envelopes, rewards, pins, verdicts)
        answers = [
            self._dispatch.ask(rewards[reward], [envelopes[i] for i in places], asked)
            for reward, places in batches.items()
        ]
        found = [await answers[0]] if len(answers) == 1 else await asyncio.gather(*answers)
        for (reward, places), answer in zip(batches.items(), found, strict=True):
            self._metrics.batch(reward, len(places))
            ours = [_pinned(verdict, pins) for verdict in answer] if pins else answer
            if len(places) == len(envelopes):  # mostly
                return list(ours)
            verdicts |= zip(places, ours, strict=True)
        return [verdicts[i] for i in range(len(envelopes))]

    def _batches(
        self,
        envelopes: Sequence[Envelope],
        rewards: Mapping[str, RewardStatus],
        pins: Mapping[str, str],
        verdicts: dict[int, Verdict],
    ) -> dict[str, list[int]]:
        """Reward -> places of its rollouts. What cannot go on gets its verdict here, and fails no neighbour."""
        served = self._now_served(rewards)
        most, crowded = self._limits.rollouts, ""
        if len(envelopes) > most:
            crowded = f"a message may hold {most} rollouts, this one has {len(envelopes)}"
        ids: set[str] = set()
        batches: dict[str, list[int]] = {}
        for place, envelope in enumerate(envelopes):
            reward = ""
            try:
                _check_id(envelope, ids)
                reward = self._classifier.classify(envelope, served).reward
                if crowded:  # after it, like sizes: a Failure should tell whose it is
                    raise TooLargeError(crowded)
                if envelope.size > self._small:
                    check_size(envelope, self._limits)
                if pins:
                    _check_pin(reward, rewards[reward].digest, pins)
                batches.setdefault(reward, []).append(place)
            except Exception as error:
                if not isinstance(error, RewardMeshError):
                    log.exception("admitting a rollout failed")
                verdicts[place] = failed(envelope, error, reward)
        return batches

    def _now_served(self, rewards: Mapping[str, RewardStatus]) -> Mapping[str, Sequence[str]]:
        """Task -> rewards. Asked for each message: a reward that comes up late brings its tasks with it."""
        if rewards != self._rewards:  # mostly they are the same objects
            self._rewards = dict(rewards)
            self._served = served_tasks({name: status.tasks for name, status in rewards.items()})
        return self._served


def _check_id(envelope: Envelope, ids: set[str]) -> None:
    """Raises InvalidRolloutError for one that is missing or among `ids`, and adds it there."""
    if not envelope.id:
        raise InvalidRolloutError("id is missing")
    if envelope.id in ids:
        raise InvalidRolloutError(f"another rollout of this message has the id {envelope.id!r:.80}")
    ids.add(envelope.id)


def check_size(envelope: Envelope, limits: Limits) -> None:
    """Raises TooLargeError, naming the part that is over its limit."""
    message = envelope.message
    parts = [
        ("completion", len(message.completion.encode()), limits.completion_bytes),
        ("reference", message.reference.ByteSize(), limits.reference_bytes),
    ]
    parts += [(f"images[{i}]", len(image.data), limits.image_bytes) for i, image in enumerate(message.images)]
    for name, size, limit in parts:
        if size > limit:
            raise TooLargeError(f"{name} has {size} bytes, the limit is {limit}")


def _check_pin(reward: str, digest: str, pins: Mapping[str, str]) -> None:
    """Raises UnavailableError. A reward that never loaded has no digest; the engine knows why it cannot score."""
    pin = pins.get(reward)
    if pin is not None and digest and digest != pin:
        raise UnavailableError(
            f"reward {reward!r} has config digest {digest}, the client pinned {pin:.80}; unpin it, or restore it"
        )


def _pinned(verdict: Verdict, pins: Mapping[str, str]) -> Verdict:
    """The verdict, unless another replica scored than the one whose digest was looked at before."""
    try:
        _check_pin(verdict.reward, verdict.digest, pins)
    except UnavailableError as error:
        return verdict._replace(outcome=Failure.from_error(error))
    return verdict
