"""One reward's rollouts of a message: what is known already or under way, admission, the engine, what to remember."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from typing import NamedTuple

from rewardmesh.contract.coalesce import Coalescer
from rewardmesh.contract.codec_verdict import decode_score, encode_score
from rewardmesh.contract.envelope import Envelope
from rewardmesh.contract.errors import DeadlineError, OverloadedError
from rewardmesh.contract.verdict import Failure, Score, Verdict
from rewardmesh.router.admission import Admission
from rewardmesh.router.cache.cache import ScoreCache
from rewardmesh.router.cache.key import Key
from rewardmesh.router.single_flight import SingleFlight
from rewardmesh.services.engine import Engine, RewardStatus
from rewardmesh.v1 import reward_pb2 as pb

# The engine answers `timeout` itself at the deadline. This is for its answer to arrive on a busy machine; an engine
# that is later than that is stuck, and the router answers in its place.
GRACE_SECONDS = 0.5
# Batches of a target on their way: one that is scored, and the next.
IN_FLIGHT = 2
# A batch is answered when its last rollout is scored. One of a slow reward is therefore smaller: about so many seconds,
# but not less than a thread or a replica scores at once.
BATCH_SECONDS = 0.1
SMALLEST_BATCH, LARGEST_BATCH = 32, 256
# Scores as they come from the cache, decoded: the nouns of the last few thousand.
_REMEMBERED = 16384

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """Who asks, and by when; times are `time.perf_counter`'s.

    Attributes:
        arrived: When the message came.
        deadline: When nobody wants its verdicts any more.
        client: Clients take turns where many wait.
    """

    arrived: float
    deadline: float
    client: Hashable = None

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.deadline - time.perf_counter())


_Part = tuple[Sequence[Envelope], Asked]
"""Rollouts that stay together, and for whom."""


class Dispatch:
    """The way from the pipeline to the engine.

    Args:
        engine: Started.
        admission: Bounds what waits.
        cache: Scores of before; None for none.
    """

    def __init__(self, engine: Engine, admission: Admission, cache: ScoreCache | None) -> None:
        self._engine = engine
        self._admission = admission
        self._cache = cache
        self._single_flight = SingleFlight()
        self._coalescers: dict[str, Coalescer[_Part, list[Verdict]]] = {}

    async def ask(self, status: RewardStatus, batch: Sequence[Envelope], asked: Asked) -> Sequence[Verdict]:
        """One verdict per rollout, in order. Raises nothing but CancelledError.

        Args:
            status: A reward of the engine's, as it is now.
            batch: Its rollouts of one message.
            asked: For whom.
        """
        remembered = self._cache is not None and status.cacheable and status.ready
        keys = self._cache.keys(batch, status) if self._cache is not None and remembered else None
        if self._cache is None or keys is None:
            return await self._admitted(status.name, batch, asked)
        known = _current(await self._cache.get_many(keys), status)
        verdicts = await self._rest(status, batch, keys, known, asked)
        fresh: list[tuple[Key, pb.Score]] = []
        for key, verdict in zip(keys, verdicts, strict=True):
            made_by = (verdict.version, verdict.digest)  # in a rolling update it may be another replica
            if isinstance(verdict.outcome, Score) and not verdict.cached and made_by == (status.version, status.digest):
                with suppress(UnicodeEncodeError):  # a text that quotes a lone surrogate is not worth keeping
                    fresh.append((key, encode_score(verdict.outcome)))
        if fresh:
            self._cache.put_many(fresh)
        return verdicts

    async def _rest(
        self,
        status: RewardStatus,
        batch: Sequence[Envelope],
        keys: Sequence[Key],
        known: Mapping[Key, bytes],
        asked: Asked,
    ) -> Sequence[Verdict]:
        """Verdicts of a batch some of whose scores are known."""

        async def ask(some: Sequence[Envelope]) -> Sequence[Verdict]:
            return await self._admitted(status.name, some, asked)

        queued = time.perf_counter() - asked.arrived
        unknown = [place for place, key in enumerate(keys) if key not in known]
        verdicts: dict[int, Verdict] = {}
        if unknown:
            some, theirs = [batch[place] for place in unknown], [keys[place] for place in unknown]
            verdicts = dict(zip(unknown, await self._single_flight.ask(some, theirs, asked.deadline, ask), strict=True))
        for place, key in enumerate(keys):
            if key in known:
                envelope = batch[place]
                verdicts[place] = Verdict(
                    envelope.id,
                    _score(known[key]),
                    envelope.task,
                    status.name,
                    status.version,
                    status.digest,
                    queued=queued,
                    cached=True,
                )
        if stale := _other_versions(batch, verdicts):
            verdicts |= zip(stale, await ask([batch[place] for place in stale]), strict=True)
        return [verdicts[place] for place in range(len(batch))]

    async def _admitted(self, reward: str, batch: Sequence[Envelope], asked: Asked) -> Sequence[Verdict]:
        """Asks the engine about what there is room for."""
        left = asked.left
        bytes = 0
        for envelope in batch:
            bytes += envelope.size
        refused: dict[int, Verdict] = {}
        try:
            self._admission.enter(reward, len(batch), bytes, left)
        except OverloadedError:  # for all of them: for some there may be room
            refused = self._refused(reward, batch, left)
            if len(refused) == len(batch):
                return list(refused.values())
            bytes = sum(envelope.size for place, envelope in enumerate(batch) if place not in refused)
        taken = [envelope for place, envelope in enumerate(batch) if place not in refused] if refused else batch
        scored = 0
        try:
            verdicts = await self._answers(reward, taken, asked, left)
            for verdict in verdicts:
                scored += isinstance(verdict.outcome, Score)
        finally:
            self._admission.leave(reward, len(taken), bytes, scored)
        if not refused:
            return verdicts
        rest = iter(verdicts)
        return [refused.get(place) or next(rest) for place in range(len(batch))]

    def _refused(self, reward: str, batch: Sequence[Envelope], left: float) -> dict[int, Verdict]:
        """Takes in what there is room for; the verdicts of the rest, by place."""
        refused: dict[int, Verdict] = {}
        for place, envelope in enumerate(batch):
            try:
                self._admission.enter(reward, 1, envelope.size, left)
            except OverloadedError as error:
                refused[place] = failed(envelope, error, reward)
        return refused

    async def _answers(self, reward: str, batch: Sequence[Envelope], asked: Asked, left: float) -> Sequence[Verdict]:
        """The engine's verdicts, or Failures in their place where it broke its promise."""
        try:
            targets = self._engine.targets(reward)
            if not targets:  # in microseconds, on this loop, which no time limit could interrupt
                queued = time.perf_counter() - asked.arrived
                verdicts = _waited(await self._engine.score(reward, batch, left), queued)
            else:
                coalescer = self._coalescer(reward)
                coalescer.in_flight = IN_FLIGHT * targets
                coalescer.max_items = batch_size(self._admission.pace(reward), targets)
                async with asyncio.timeout(left + GRACE_SECONDS):
                    verdicts = await coalescer.put((batch, asked), key=asked.client, count=len(batch))
        except (TimeoutError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # it is we who are cancelled, and not something in the engine
            late = DeadlineError(f"reward {reward!r} did not answer before the message's deadline")
            return [failed(envelope, late, reward) for envelope in batch]
        except Exception as error:  # an engine raises nothing; one that does costs this batch its scores
            log.exception("the engine raised")
            return [failed(envelope, error, reward) for envelope in batch]
        others = len(verdicts) != len(batch)
        for verdict, envelope in zip(verdicts, batch, strict=False):
            others |= verdict.id != envelope.id
        if others:
            error = RuntimeError("the engine answered with verdicts of other rollouts")
            return [failed(envelope, error, reward) for envelope in batch]
        return verdicts

    def _coalescer(self, reward: str) -> Coalescer[_Part, list[Verdict]]:
        found = self._coalescers.get(reward)
        if found is None:
            found = self._coalescers[reward] = Coalescer(partial(self._scored, reward))
        return found

    async def _scored(self, reward: str, parts: Sequence[_Part]) -> list[list[Verdict]]:
        """The engine's verdicts of each part, with how long it had been queued."""
        began = time.perf_counter()
        rollouts = [envelope for batch, _ in parts for envelope in batch]
        verdicts = await self._engine.score(reward, rollouts, max([asked.left for _, asked in parts]))
        if len(verdicts) != len(rollouts):
            raise RuntimeError(f"the engine answered {len(rollouts)} rollouts with {len(verdicts)} verdicts")
        rest = iter(verdicts)
        return [_waited(islice(rest, len(batch)), began - asked.arrived) for batch, asked in parts]


def batch_size(pace: float, targets: int) -> int:
    """How many rollouts go together of a reward that answers one in `pace` seconds, as many `targets` side by side."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, int(BATCH_SECONDS / (pace * targets)))) if pace else LARGEST_BATCH


def _waited(verdicts: Iterable[Verdict], seconds: float) -> list[Verdict]:
    return [
        Verdict(v.id, v.outcome, v.task, v.reward, v.version, v.digest, v.seconds, seconds, v.cached) for v in verdicts
    ]


def failed(envelope: Envelope, error: BaseException, reward: str = "") -> Verdict:
    """The verdict of a rollout that an error concerns."""
    return Verdict(envelope.id, Failure.from_error(error), envelope.task, reward)


def _current(known: dict[Key, bytes], status: RewardStatus) -> dict[Key, bytes]:
    """Those of remembered scores that the models of now have given."""
    if not status.models:
        return known
    models = set(status.models)
    return {key: score for key, score in known.items() if models.issuperset(_score(score).model.split())}


@lru_cache(maxsize=_REMEMBERED)
def _score(data: bytes) -> Score:
    return decode_score(pb.Score.FromString(data))


def _other_versions(batch: Sequence[Envelope], verdicts: Mapping[int, Verdict]) -> list[int]:
    """Places of remembered scores that another version of a model gave than the one that scored the rest of a group."""
    models: dict[str, str] = {}
    for place, verdict in verdicts.items():
        if isinstance(verdict.outcome, Score) and not verdict.cached and batch[place].group:
            models[batch[place].group] = verdict.outcome.model
    return [
        place
        for place, verdict in verdicts.items()
        if verdict.cached
        and isinstance(verdict.outcome, Score)
        and models.get(batch[place].group, verdict.outcome.model) != verdict.outcome.model
    ]
